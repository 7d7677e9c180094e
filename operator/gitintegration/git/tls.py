"""What to trust and to show over TLS, from the texts of a Secret."""

from __future__ import annotations

import os
import ssl

from gitintegration import messages
from gitintegration.errors import CredentialError, Reason
from gitintegration.git.remote import Tls


def make_context(tls: Tls) -> ssl.SSLContext:
    """What to trust and to show. Raises CredentialError where a PEM text is none."""
    try:
        context = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError, TypeError):
        raise CredentialError(
            Reason.InvalidSecret, messages.SECRET_FILE(key="ca.crt", words="holds no PEM certificate")
        ) from None
    if tls.certificate and tls.key:
        _load_client(context, tls.certificate, tls.key)
    return context


def _no_passphrase() -> str:
    """Nobody is asked for one on a terminal."""
    return ""


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The ssl module reads client certificates from a file only: a descriptor without a name serves."""
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{certificate}\n{key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_passphrase)
    except (ssl.SSLError, OSError):
        words = messages.SECRET_FILE(key="tls.key", words="and `tls.crt` are not a PEM pair")
        raise CredentialError(Reason.InvalidSecret, words) from None
    finally:
        os.close(descriptor)
