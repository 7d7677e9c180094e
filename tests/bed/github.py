"""A GitHub Enterprise's part of the bed: Apps with their tokens and pull requests, in front of real git."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bed.gitserver import GitServer

APP, INSTALLATION = "4711", "12345678"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


class GitHubServer(GitServer):
    """Only tokens that its API has made serve for git as `x-access-token`. `pulls` are those that were made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.key = new_key()
        self.lifetime = 3600.0
        self.made: list[str] = []
        self.pulls: list[dict[str, Any]] = []
        self._good: dict[str, float] = {}

    def is_token(self, token: str) -> bool:
        return self._good.get(token, 0) > time.time()

    def revoke(self) -> None:
        self._good.clear()

    def api(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return 401, {"message": "Requires authentication"}
        if found := re.fullmatch(r"/api/v3/app/installations/([0-9]+)/access_tokens", path):
            return self._token(found[1], token)
        if not self.is_token(token):
            return 401, {"message": "Bad credentials"}
        if path.endswith("/pulls") and method == "GET":
            return 200, [pull for pull in self.pulls if pull["state"] == "open"]
        if path.endswith("/pulls") and method == "POST":
            asked = json.loads(body)
            number = len(self.pulls) + 1
            url = f"https://github.example/acme/pull/{number}"
            ends = {side: {"ref": asked[side]} for side in ("head", "base")}
            self.pulls.append({"number": number, "html_url": url, "state": "open", "title": asked["title"], **ends})
            return 201, self.pulls[-1]
        return 404, {"message": "Not Found"}

    def _token(self, installation: str, assertion: str) -> tuple[int, Any]:
        try:
            told = jwt.decode(
                assertion, self.key.public_key(), algorithms=["RS256"], options={"require": ["exp", "iat", "iss"]}
            )
        except jwt.PyJWTError:
            return 401, {"message": "A JSON web token could not be decoded"}
        if told["iss"] != APP or told["exp"] - time.time() > 600:
            return 401, {"message": "Integration not found"}
        if installation != INSTALLATION:
            return 404, {"message": "Not Found"}
        token = f"ghs_{len(self.made)}_{time.monotonic_ns()}"
        ends = time.time() + self.lifetime
        self.made.append(token)
        self._good[token] = ends
        return 201, {"token": token, "expires_at": datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
