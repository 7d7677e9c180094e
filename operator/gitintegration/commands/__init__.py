"""The command line. A command's module imports at its top what its signature needs, and the rest when the command is run:
who asks for help, or for what the Tab key may complete, must not wait for it."""

from __future__ import annotations

from cyclopts import App
from cyclopts.config import Env

from gitintegration.console import program

OK, DIFFERENT, FAILED = 0, 1, 2
"""Exit codes, as kubectl diff's: 1 tells of a difference, more of an error."""

app = App(
    name=program(),
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
    "gitintegration.commands.diff:diff",
    help="Show what a push would commit and what a pull would bring, with values. Nothing is written.",
)
app.command("gitintegration.commands.push:push", help="Push pipelines of the cluster to a branch, as one commit.")
app.command("gitintegration.commands.pull:pull", help="Bring pipelines of a branch into the cluster.")
app.command("gitintegration.commands.sync:sync", help="Have an integration synced now, and tell how it stands then.")
app.command("gitintegration.commands.history:history", help="Show which commits touched pipelines, newest first.")
app.command(
    "gitintegration.commands.show:show",
    help="Show one commit: who made it, what it says, and what it changed in pipelines.",
)
app.command(
    "gitintegration.commands.blame:trace",
    help="Show where a pipeline lies in git, who edited it last on either side, and how it stands.",
)
app.command(
    "gitintegration.commands.blame:blame",
    help="Show where each field of a pipeline comes from: its commit, or who edited it in the cluster.",
)
app.command(
    "gitintegration.commands.restore:restore",
    help="Bring pipelines back as they stood at a commit, also where they were deleted since.",
)
app.command(
    "gitintegration.commands.resolve:resolve",
    help="Settle conflicts, field by field: the cluster's value, git's, what both were before, or another.",
)
app.command(
    "gitintegration.commands.suspend:suspend",
    help="Have nothing synced for a while, and say why; with --for or --until it goes on by itself.",
)
app.command("gitintegration.commands.suspend:resume", help="Go on with syncing, however it was suspended.")
app.command(
    "gitintegration.commands.confirm:confirm",
    help="Show what waits for confirmation, mass deletes say, and release exactly that.",
)
app.command(
    "gitintegration.commands.init:init",
    help="Begin to sync a namespace: login, Secret, GitIntegration, and the first sync's plan before it is carried.",
)
app.command(
    "gitintegration.commands.doctor:doctor",
    help="Look at all that has to be right: versions, CRDs, rights, Lease, policies, repositories, integrations.",
)
app.command(
    "gitintegration.commands.completion:completion",
    help="Print what makes a shell complete commands, flags and their values.",
)
app.command("gitintegration.commands.processes:run", help="Run the operator, against a kubeconfig or in the cluster.")
app.command(
    "gitintegration.commands.processes:serve_gateway",
    name="serve",
    help="Serve the REST API over the resources, as its callers.",
)
app.command(
    "gitintegration.commands.processes:serve_hooks",
    name="hooks",
    help="Receive the webhooks of forges, and have the operator look at once.",
)
app.command("gitintegration.commands.processes:crds", help="Print the CustomResourceDefinitions.")
