"""A real forge: Gitea, built from its module once and cached, run on loopback with repositories, users and rules."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.bed.build import go_program, made_once, place_of, run_step, say, workshop
from tests.bed.controlplane import die_with_parent, free_port

_MODULE = Path(__file__).parent / "gitea"
_TAGS = "sqlite sqlite_unlock_notify"
_STATIC = ("templates", "options", "public")
OWNER = "acme"

_SETTINGS = """\
APP_NAME = bed
RUN_MODE = prod
WORK_PATH = {work}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {work}/gitea.db
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
[queue]
TYPE = channel
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
LEVEL = Warn
[service]
DISABLE_REGISTRATION = true
[cron]
ENABLED = false
"""


def built() -> Path | None:
    """The folder with the program, where it has been built."""
    target = place_of("forge", _MODULE)
    return target if target.exists() else None


def gitea() -> Path:
    """The folder with the program and its static files, built now if need be."""
    return made_once(place_of("forge", _MODULE), _build)


def _build(target: Path) -> None:
    go, package = go_program(), "code.gitea.io/gitea"
    with workshop(target, cgo=True) as (work, env):
        made, module = work / "made", work / "module"
        shutil.copytree(_MODULE, module)
        command = [go, "build", "-trimpath", "-tags", _TAGS, "-ldflags", "-s -w", "-o", str(made / "gitea"), package]
        run_step("building the forge", command, module, env)
        listed = [go, "list", "-m", "-f", "{{.Dir}}", package]
        found = subprocess.run(listed, cwd=module, env=env, capture_output=True, text=True)
        for name in _STATIC:
            shutil.copytree(Path(found.stdout.strip()) / name, made / name, copy_function=shutil.copyfile)
        for folder in made.rglob("*"):
            if folder.is_dir():
                folder.chmod(0o755)
    say(f"the forge is in {target}")


class Forge:
    """Starts in the constructor. `OWNER` owns the repositories; `reader` may only read."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        home = gitea()
        config = directory / "app.ini"
        config.write_text(_SETTINGS.format(work=directory, port=self.port, static=home))
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GITEA_")},
            "HOME": str(directory),
            "USER": "bed",
        }
        base = [str(home / "gitea"), "--config", str(config)]
        self._log = directory / "log"
        password = secrets.token_urlsafe(16)
        with self._log.open("ab") as log:
            subprocess.run([*base, "migrate"], env=env, stdout=log, stderr=log, check=True)
            for name, more in ((OWNER, ["--admin"]), ("reader", [])):
                user = ["--username", name, "--password", password, "--email", f"{name}@example.com"]
                create = [*base, "admin", "user", "create", *user, *more, "--must-change-password=false"]
                subprocess.run(create, env=env, stdout=log, stderr=log, check=True)
            self._process = subprocess.Popen(
                [*base, "web"], env=env, stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        self._wait()
        self._password = password
        self.token = self._token(OWNER, password)
        self.reader_token = self._token("reader", password)

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{self.url}/api/healthz", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the forge does not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _token(self, user: str, password: str) -> str:
        body = {"name": "bed", "scopes": ["write:repository", "write:issue", "write:user"]}
        answer = httpx.post(f"{self.url}/api/v1/users/{user}/tokens", json=body, auth=(user, password), trust_env=False)
        answer.raise_for_status()
        return str(answer.json()["sha1"])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(15)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, ok: bool = True) -> Any:
        """As the owner."""
        headers = {"Authorization": f"token {self.token}"}
        answer = httpx.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30, trust_env=False
        )
        if ok and answer.status_code >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def trust_key(self, private: bytes, public: str, directory: Path) -> None:
        """Have the owner enter an SSH key, and prove on the key's page that it is his, as a browser would."""
        key = self.api("POST", "/user/keys", {"title": "signing", "key": public})
        identity = directory / "identity"
        identity.write_bytes(private)
        identity.chmod(0o600)
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as browser:
            browser.post("/user/login", data={"user_name": OWNER, "password": self._password})
            page = browser.get("/user/settings/keys", params={"verify_ssh": key["fingerprint"]}).text
            token = re.search(r"echo -n (?:&#39;|')([0-9a-f]+)", page)
            assert token, page[:2000]
            command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "gitea", "-f", str(identity)]
            signed = subprocess.run(command, input=token[1].encode(), capture_output=True, check=True).stdout.decode()
            form = {"type": "verify_ssh", "content": public, "fingerprint": key["fingerprint"], "signature": signed}
            browser.post("/user/settings/keys", data={**form, "title": "none"})
        shown = self.api("GET", f"/user/keys/{key['id']}")
        assert shown, shown

    def create(self, files: Mapping[str, str]) -> ForgeRepo:
        name = f"r-{uuid.uuid4().hex[:8]}"
        self.api("POST", "/user/repos", {"name": name, "default_branch": "main", "private": True})
        repo = ForgeRepo(self, name)
        repo.commit(files)
        return repo


class ForgeRepo:
    """A repository, and what people do with it by way of the forge."""

    def __init__(self, forge: Forge, name: str) -> None:
        self.forge, self.name = forge, name
        self.path = f"/repos/{OWNER}/{name}"
        self.url = f"{forge.url}/{OWNER}/{name}.git"

    def commit(self, files: Mapping[str, str], branch: str = "main", message: str = "edit") -> None:
        """Through the forge's own API."""
        operations = []
        for path, text in files.items():
            known = self.sha_of(path, branch)
            encoded = base64.b64encode(text.encode()).decode()
            change: dict[str, Any] = {"operation": "update" if known else "create", "path": path, "content": encoded}
            operations.append({**change, **({"sha": known} if known else {})})
        self.forge.api("POST", f"{self.path}/contents", {"branch": branch, "message": message, "files": operations})

    def sha_of(self, path: str, branch: str) -> str | None:
        found = self.forge.api("GET", f"{self.path}/contents/{path}?ref={branch}", ok=False)
        return found.get("sha") if isinstance(found, dict) else None

    def read(self, path: str, branch: str = "main") -> str | None:
        headers = {"Authorization": f"token {self.forge.token}"}
        url = f"{self.forge.url}/api/v1{self.path}/raw/{path}?ref={branch}"
        answer = httpx.get(url, headers=headers, trust_env=False)
        return answer.text if answer.status_code == 200 else None

    def branches(self) -> set[str]:
        return {branch["name"] for branch in self.forge.api("GET", f"{self.path}/branches")}

    def pulls(self, state: str = "all") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.forge.api("GET", f"{self.path}/pulls?state={state}")
        return found

    def merge(self, number: int, how: str) -> None:
        """`how`: merge, squash or rebase. Right after a change the forge asks to try again."""
        end = time.monotonic() + 20
        while True:
            try:
                self.forge.api("POST", f"{self.path}/pulls/{number}/merge", {"Do": how})
            except RuntimeError as error:
                if "405" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                return

    def protect(self, branch: str) -> None:
        """Changes come in by pull request only."""
        self.forge.api("POST", f"{self.path}/branch_protections", {"branch_name": branch, "enable_push": False})


if __name__ == "__main__":
    gitea()
