"""`gitintegration sync`: an integration is synced now, and its end is waited for."""

from __future__ import annotations

import sys

from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.change import Timeout, Wait, asked_now, check_awake, is_handled, patch, until


def sync(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    timeout: Timeout = 300.0,
    wait: Wait = True,
) -> int:
    """Have an integration synced now, and tell how it stands then.

    It ends with 0 where both sides are the same, 1 where they are not, 2 where it can't tell.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    """
    return carried_out(_sync(access, name, timeout, wait=wait))


async def _sync(access: Access, name: str | None, seconds: float, *, wait: bool) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import detail, is_in_sync, show, utcnow

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        check_awake(integration, "nothing is synced")
        token, asks = asked_now()
        await patch(cluster, integration, {"metadata": {"annotations": asks}})
        if not wait:
            return OK
        done = await until(cluster, integration, "synced", seconds, is_handled(token))
    show(detail(done, utcnow()), sys.stdout)
    return OK if is_in_sync(done, utcnow()) else DIFFERENT
