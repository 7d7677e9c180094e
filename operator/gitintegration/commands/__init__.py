"""The command line. What a command needs is imported when that command is run: `--help` must not wait for it."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App
from cyclopts.config import Env

OK, DIFFERENT, FAILED = 0, 1, 2
"""Exit codes, as kubectl diff's: 1 tells of a difference, more of an error."""

_PLUGIN = "kubectl-"
"""What a program's name begins with that kubectl runs as a command of its own."""

app = App(
    name="kubectl gitintegration" if Path(sys.argv[0]).name.startswith(_PLUGIN) else "gitintegration",
    help="Keeps pipeline resources and their manifests in git the same, in both directions.",
    config=Env("GITINTEGRATION_", command=False),
    help_format="plaintext",  # Markdown's reader would take a tenth of a second of every --help
)
app.command(
    "gitintegration.commands.lint:lint",
    help="Read a checkout as the operator would, and tell what it would leave alone, and why.",
)
app.command(
    "gitintegration.commands.status:status",
    help="Show how integrations stand: what is ahead, in conflict, left alone, and what mends it.",
)
app.command(
    "gitintegration.commands.operate:diff",
    help="Show what a push would commit and what a pull would bring, with values. Nothing is written.",
)
app.command("gitintegration.commands.operate:push", help="Push pipelines of the cluster to a branch, as one commit.")
app.command("gitintegration.commands.operate:pull", help="Bring pipelines of a branch into the cluster.")
app.command("gitintegration.commands.sync:sync", help="Have an integration synced now, and tell how it stands then.")
app.command("gitintegration.commands.operate:history", help="Show which commits touched pipelines, newest first.")
app.command(
    "gitintegration.commands.operate:restore",
    help="Bring pipelines back as they stood at a commit, also where they were deleted since.",
)
app.command(
    "gitintegration.commands.resolve:resolve",
    help="Settle conflicts, field by field: the cluster's value, git's, what both were before, or another.",
)
app.command("gitintegration.__main__:run", help="Run the operator, against a kubeconfig or in the cluster.")
app.command(
    "gitintegration.__main__:serve_gateway", name="serve", help="Serve the REST API over the resources, as its callers."
)
app.command(
    "gitintegration.__main__:serve_hooks",
    name="hooks",
    help="Receive the webhooks of forges, and have the operator look at once.",
)
app.command("gitintegration.__main__:crds", help="Print the CustomResourceDefinitions.")
