"""What people are told, in one table: what happened to which thing, and the command that mends it.

Everything that becomes a condition, the end of an operation or an entry of `status.invalid`, and that somebody must act
on, is worded here, so that it can be read as prose: docs/messages.md shows each with its example, made by `make generate`.
What a parser says of one line of a file, or of one packet of a server, stays with the parser.

A text names its facts as `$host`. `$SECRET` stands for the Secret of the login, `$NAMESPACE` and `$NAME` for the integration
that it is told of; who knows them fills them in. What a remedy takes from outside, a branch's name say,
is quoted: it is made to be pasted into a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from gitintegration.errors import GitIntegrationError, Words

_FACT = re.compile(r"\$([a-z]+)")


@dataclass(frozen=True, slots=True)
class Message:
    """`reason` is the one that it is told with; `example` has a value for each fact."""

    reason: str
    what: str
    remedy: str
    example: Mapping[str, object]

    def __call__(self, **facts: object) -> Words:
        """The words with these facts. A tuple is several words of a command."""
        quoted = {name: _quoted(value) for name, value in facts.items()}
        return Words(_filled(self.what, facts), _filled(self.remedy, quoted))


def _quoted(fact: object) -> str:
    return shlex.join(fact) if isinstance(fact, tuple) else shlex.quote(str(fact))


def _filled(text: str, facts: Mapping[str, object]) -> str:
    return _FACT.sub(lambda fact: str(facts[fact[1]]), text)


class Place(NamedTuple):
    """The integration that something is told of."""

    namespace: str = "NAMESPACE"
    name: str = "NAME"

    def fill(self, remedy: str) -> str:
        """A remedy with the names of this place, ready to paste."""
        return remedy.replace("$NAMESPACE", self.namespace).replace("$NAME", self.name)

    def told(self, error: GitIntegrationError) -> str:
        """An error as people read it."""
        return self.joined(error.words)

    def joined(self, words: Words) -> str:
        return f"{words.what}; {self.fill(words.remedy)}" if words.remedy else words.what


SOMEWHERE = Place()
"""For what is told of no integration."""


def counted(number: int, noun: str = "pipeline") -> str:
    """A number of things, which is one or many."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def named(names: Sequence[str], most: int = 5, joint: str = ", ") -> str:
    """The first of some names in their order, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return joint.join(names[:most]) + more


def nearly(wanted: Sequence[str], present: Sequence[str]) -> str:
    """Which key of a Secret may have been meant for one of those that are wanted; in words, empty where none is near."""
    plain = {_letters(key): key for key in wanted}
    for key in sorted(set(present) - set(wanted)):
        letters = _letters(key)[:64]
        near = get_close_matches(letters, plain, 1, 0.75) or [
            each for each in plain if each in letters or (letters in each and len(letters) > 3)
        ]
        if near:
            return f" (it has `{key[:64]}`: is that meant for `{plain[near[0]]}`?)"
    return ""


def _letters(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


# --- what mends it ------------------------------------------------------------------------------------------------------

_PATCH = "kubectl -n $NAMESPACE patch gitintegration $NAME --type=merge -p '"
_MAKE = (
    "kubectl -n $NAMESPACE create secret generic git-credentials --from-literal=token=TOKEN && "
    + _PATCH
    + """{"spec":{"credentials":{"secretRef":{"name":"git-credentials"}}}}'"""
)
_SET_URL = _PATCH + """{"spec":{"repositoryURL":"URL"}}'"""
_RENEW = """put a valid one in: kubectl -n $NAMESPACE patch secret $SECRET -p '{"stringData":{"$key":"VALUE"}}'"""
_OTHER = _RENEW.replace("a valid one", "others")
_SET_KEY = """set it: kubectl -n $NAMESPACE patch secret $SECRET -p '{"stringData":{"$key":"VALUE"}}'"""
_SET_FILE = (
    "make the Secret anew: kubectl -n $NAMESPACE create secret generic $SECRET --from-file=identity=KEYFILE "
    "--from-file=known_hosts=HOSTSFILE --dry-run=client -o yaml | kubectl apply -f -"
)
_PUT_FILE = (
    "put a valid one in: kubectl -n $NAMESPACE create secret generic $SECRET --from-file=$key=FILE --dry-run=client -o yaml"
    " | kubectl -n $NAMESPACE patch secret $SECRET --patch-file=/dev/stdin"
)
"""What else the Secret holds stays."""
_AGAIN = "it is tried again by itself"
_SYNC = 'kubectl -n $NAMESPACE annotate gitintegration $NAME planasonix.com/requestedAt="$(date +%s)" --overwrite'
_LOGIN: Mapping[str, object] = {"host": "git.example.com", "url": "https://git.example.com/acme/pipelines.git"}
_TOKEN: Mapping[str, object] = {**_LOGIN, "secret": "git-credentials", "key": "token"}

# --- the login ----------------------------------------------------------------------------------------------------------

LOGIN_WANTED = Message(
    "AuthenticationFailed",
    "$host asks for credentials to read $url, and spec.credentials.secretRef names no Secret",
    "make one and name it: " + _MAKE,
    _LOGIN,
)
LOGIN_REFUSED = Message(
    "AuthenticationFailed",
    "$host does not accept the credentials in `$key` of Secret '$secret'$how",
    _RENEW,
    {**_TOKEN, "how": " (401)"},
)
KEY_REFUSED = Message(
    "AuthenticationFailed",
    "$host does not accept the key in `identity` of Secret '$secret' for user '$user'",
    "give its public half to that account, or to the repository as a deploy key, at $host; or " + _SET_FILE,
    {**_TOKEN, "user": "git"},
)
HOST_KEY = Message(
    "HostKeyMismatch",
    "$host shows a host key that `known_hosts` of Secret '$secret' does not hold: another server may be answering",
    "nothing was sent. If the server's owner confirms the new key, take it (ssh-keyscan -p PORT HOST) and " + _SET_FILE,
    {**_TOKEN, "host": "git.example.com:22"},
)
READ_DENIED = Message(
    "PermissionDenied",
    "$host accepts the credentials in `$key` of Secret '$secret', but they may not read $url$how",
    "let their owner read it at $host, or " + _OTHER,
    {**_TOKEN, "how": " (403)"},
)
WRITE_DENIED = Message(
    "PermissionDenied",
    "$host accepts the credentials in `$key` of Secret '$secret', but they may not write to $url$how",
    "let their owner write to it at $host, or "
    + _OTHER
    + "; or let nothing be pushed: "
    + _PATCH
    + """{"spec":{"sync":{"mode":"Pull"}}}'""",
    {**_TOKEN, "how": " (403)"},
)
DENIED_TO_ALL = Message(
    "PermissionDenied",
    "$host lets nobody $do $url without credentials (403), and spec.credentials.secretRef names no Secret",
    "make one and name it: " + _MAKE,
    {**_LOGIN, "do": "read"},
)
ANONYMOUS = Message(
    "PermissionDenied",
    "the repository answers, and may only be read without credentials: no change of the cluster will reach git",
    "name a Secret: " + _MAKE + "; or let nothing be pushed: " + _PATCH + """{"spec":{"sync":{"mode":"Pull"}}}'""",
    {},
)
READ_ONLY = Message(
    "PermissionDenied",
    "the repository answers, but the credentials in `$key` of Secret '$secret' may only read it: no change of the cluster will reach git",
    "let their owner write to $url, or "
    + _OTHER
    + "; or let nothing be pushed: "
    + _PATCH
    + """{"spec":{"sync":{"mode":"Pull"}}}'""",
    _TOKEN,
)
REPOSITORY_HIDDEN = Message(
    "RepositoryNotFound",
    "$url is not there, or may not be seen with the credentials in `$key` of Secret '$secret' ($status)",
    "mend the address: " + _SET_URL + "; or let the credentials' owner read it at $host",
    {**_TOKEN, "status": 404},
)
REPOSITORY_MISSING = Message(
    "RepositoryNotFound",
    "$url is not there, or is not for everybody to see ($status)",
    "mend the address: " + _SET_URL + "; or name a Secret in spec.credentials.secretRef",
    {**_LOGIN, "status": 404},
)
NO_GIT = Message(
    "RepositoryNotFound",
    "$host answers, but not with git's protocol: $url is not the address to clone from",
    "mend it: " + _SET_URL,
    _LOGIN,
)
SERVER_TROUBLE = Message(
    "NetworkUnreachable",
    "$host was reached and answers $status, which is trouble of its own",
    _AGAIN + "; its operators know more",
    {**_LOGIN, "status": "500 Internal Server Error"},
)
SERVER_SAYS_NOT_FOUND = Message(
    "RepositoryNotFound",
    "the server has no such repository for this login; it says: $words",
    "mend the address: " + _SET_URL + "; or let the login's owner read it",
    {"words": "ERROR: Repository not found."},
)
SERVER_SAYS_DENIED = Message(
    "PermissionDenied",
    "the server does not let this login do that; it says: $words",
    "let its owner do it there, or put another one into the Secret",
    {"words": "ERROR: The key you are authenticating with has been marked as read only."},
)
RATE_LIMITED = Message("RateLimited", "$host asks to wait ($status)", _AGAIN, {**_LOGIN, "status": 429})
TIMED_OUT = Message(
    "Timeout",
    "$host did not answer within $seconds s (spec.sync.timeout)",
    _AGAIN + "; where it needs longer: " + _PATCH + """{"spec":{"sync":{"timeout":"5m"}}}'""",
    {**_LOGIN, "seconds": 60},
)
CERTIFICATE = Message(
    "NetworkUnreachable",
    "the certificate of $host is not trusted",
    "let `ca.crt` of the Secret that spec.credentials.secretRef names hold its authority; " + _PUT_FILE,
    {"host": "git.example.com:443", "key": "ca.crt"},
)
BRANCH_MISSING = Message(
    "BranchNotFound",
    "branch '$branch' of spec.defaultBranch is not in the repository $url, which has $known",
    "create it (git push origin HEAD:refs/heads/$branch), or name another: "
    + _PATCH
    + """{"spec":{"defaultBranch":"BRANCH"}}'""",
    {**_LOGIN, "branch": "trunk", "known": "main, release"},
)
HEAD_MISSING = Message(
    "BranchNotFound",
    "HEAD of the repository $url names $branch, which is not there, and spec.defaultBranch names none; it has $known",
    "name the branch to sync with: " + _PATCH + """{"spec":{"defaultBranch":"BRANCH"}}'""",
    {**_LOGIN, "branch": "branch 'trunk'", "known": "main, release"},
)
PUSH_DECLINED = Message(
    "PushRejected",
    "$host declines the push to branch '$branch': $words",
    _AGAIN
    + "; where changes are taken by review only: "
    + _PATCH
    + """{"spec":{"sync":{"push":{"branch":"BRANCH"}}}}'""",
    {"host": "git.example.com", "branch": "main", "words": "protected branch hook declined"},
)

UNVERIFIED = Message(
    "Unsigned",
    "commit $commit by $author $words$by: nothing of it is pulled, and nothing is pushed onto it (spec.verify)",
    "push a commit onto it that is signed by who is trusted, or with mode Commits take it out of the branch; "
    "where its key is to be trusted, give it to the Secret of spec.verify.secretRef: "
    "kubectl -n $NAMESPACE create secret generic SECRET --from-file=allowed_signers=FILE --dry-run=client -o yaml | kubectl apply -f -",
    {"commit": "9f8e7d6c5b4a", "author": "Ann <ann@example.com>", "words": "is not signed", "by": ""},
)

# --- Secrets ------------------------------------------------------------------------------------------------------------

SECRET_MISSING = Message(
    "SecretNotFound",
    "Secret '$secret' is not there",
    "make it, it is noticed at once: kubectl -n $NAMESPACE create secret generic $secret --from-literal=token=TOKEN",
    {"secret": "git-credentials"},
)
SECRET_TYPE = Message(
    "SecretNotAllowed",
    "Secret '$secret' is of type $type, which is nothing to log in to a git server with: $types serve",
    "name another one: " + _PATCH + """{"spec":{"credentials":{"secretRef":{"name":"SECRET"}}}}'""",
    {
        "secret": "default-token",
        "type": "kubernetes.io/service-account-token",
        "types": "Opaque, kubernetes.io/basic-auth",
    },
)
SECRET_NO_HOSTS = Message(
    "SecretNotAllowed",
    "Secret '$secret' does not say which hosts its credentials may go to, and this operator asks for that (--require-allowed-hosts)",
    "name the host: kubectl -n $NAMESPACE annotate secret $secret planasonix.com/allowed-hosts=$host",
    {"secret": "git-credentials", "host": "git.example.com"},
)
SECRET_OTHER_HOST = Message(
    "SecretNotAllowed",
    "Secret '$secret' is not to be sent to $host: its annotation planasonix.com/allowed-hosts does not name that host",
    "if it may go there: kubectl -n $NAMESPACE annotate secret $secret --overwrite planasonix.com/allowed-hosts=$hosts",
    {"secret": "git-credentials", "host": "git.example.com", "hosts": "github.com,git.example.com"},
)
SECRET_NO_LOGIN = Message(
    "InvalidSecret",
    "Secret $SECRET has none of `token`, `bearerToken`, `username` and `password`, `tls.crt`$near",
    _SET_KEY,
    {"near": " (it has `Token`: is that meant for `token`?)", "key": "token"},
)
SECRET_NO_TOKEN = Message(
    "InvalidSecret",
    "Secret $SECRET has no key `token` (or `bearerToken`), which spec.credentials.type token asks for$near",
    _SET_KEY,
    {"near": " (it has `access-tokens`: is that meant for `token`?)", "key": "token"},
)
SECRET_HALF_LOGIN = Message(
    "InvalidSecret",
    "Secret $SECRET needs both keys `username` and `password`, and has no `$key`$near",
    _SET_KEY,
    {"near": " (it has `passwd`: is that meant for `password`?)", "key": "password"},
)
SECRET_VALUE = Message(
    "InvalidSecret",
    "Secret $SECRET: `$key` $words",
    _RENEW,
    {"key": "bearerToken", "words": "is no token"},
)
SECRET_FILE = Message(
    "InvalidSecret",
    "Secret $SECRET: `$key` $words",
    _PUT_FILE,
    {"key": "known_hosts", "words": "can't be read"},
)
SECRET_SSH = Message(
    "InvalidSecret",
    "an ssh address needs a Secret with `identity` and `known_hosts`, and spec.credentials.secretRef names none",
    "make one and name it: kubectl -n $NAMESPACE create secret generic git-credentials --from-file=identity=KEYFILE "
    "--from-file=known_hosts=HOSTSFILE && "
    + _PATCH
    + """{"spec":{"credentials":{"secretRef":{"name":"git-credentials"}}}}'""",
    {},
)
SECRET_NO_IDENTITY = Message(
    "InvalidSecret",
    "Secret $SECRET has no key `identity`, the private key that an ssh address needs$near",
    _SET_FILE,
    {"near": " (it has `identity.pem`: is that meant for `identity`?)"},
)
SECRET_NO_HOST_KEYS = Message(
    "InvalidSecret",
    "Secret $SECRET has no key `known_hosts`, and an unknown host key is refused$near",
    "ask the server's owner for its host keys (ssh-keyscan HOST shows them) and " + _SET_FILE,
    {"near": " (it has `knownHosts`: is that meant for `known_hosts`?)"},
)
SIGNING_MISSING = Message(
    "SecretNotFound",
    "Secret '$secret', which spec.commit.signingSecretRef names, is not there, and nothing is pushed unsigned",
    "make it with an SSH key of its own (ssh-keygen -t ed25519): "
    "kubectl -n $NAMESPACE create secret generic $secret --from-file=identity=KEYFILE",
    {"secret": "signing-key"},
)
SIGNING_NO_KEY = Message(
    "InvalidSecret",
    "Secret $SECRET has no key `identity` and no `git.asc`, the SSH or OpenPGP private key that spec.commit.signingSecretRef is to sign with$near",
    _PUT_FILE.replace("$key=FILE", "identity=KEYFILE"),
    {"near": " (it has `identity.pem`: is that meant for `identity`?)"},
)
CONFIG_MAP_MISSING = Message(
    "ConfigMapNotFound",
    "ConfigMap '$map', which $field names, is not there",
    "make it, it is noticed within minutes: kubectl -n $NAMESPACE create configmap $map --from-file=$key=FILE",
    {"map": "people", "field": "spec.authors.mapRef", "key": "authors"},
)
CONFIG_MAP_KEY = Message(
    "InvalidConfigMap",
    "key `$key` of ConfigMap '$map', which $field names, $words",
    "put a valid one in: kubectl -n $NAMESPACE create configmap $map --from-file=$key=FILE --dry-run=client -o yaml | kubectl apply -f -",
    {
        "map": "people",
        "field": "spec.authors.mapRef",
        "key": "authors",
        "words": "can't be used: line 2 is not `user = Name <address>`",
    },
)
SECRET_NO_APP = Message(
    "InvalidSecret",
    "a GitHub App needs the keys `githubAppID` and `githubAppPrivateKey`, and Secret $SECRET has no `$key`$near",
    _SET_KEY,
    {"near": "", "key": "githubAppPrivateKey"},
)
SECRET_NO_INSTALLATION = Message(
    "InvalidSecret",
    "a GitHub App needs its installation's number: spec.credentials.installationID, or the key `githubAppInstallationID` of Secret $SECRET$near",
    "it is at the end of the address of the App's page of settings: "
    + _PATCH
    + """{"spec":{"credentials":{"installationID":"NUMBER"}}}'""",
    {"near": ""},
)
PROXY_ADDRESS = Message(
    "InvalidSecret",
    "the key `address` of Secret $SECRET must be http://host:port, without a credential",
    """set it: kubectl -n $NAMESPACE patch secret $SECRET -p '{"stringData":{"address":"http://HOST:PORT"}}'""",
    {},
)

# --- the forge's API, for pull requests ---------------------------------------------------------------------------------

_FORGE: Mapping[str, object] = {"host": "api.github.com", "what": "pull requests", "words": ": Bad credentials"}
FORGE_LOGIN = Message(
    "AuthenticationFailed",
    "$host does not accept the token for its API, over which $what are made$words",
    "put one with the rights for that into `token` of Secret $SECRET: kubectl -n $NAMESPACE patch secret $SECRET "
    """-p '{"stringData":{"token":"VALUE"}}'""",
    _FORGE,
)
FORGE_DENIED = Message(
    "PermissionDenied",
    "the token may not make $what on $host$words",
    "give it the rights for that on this repository there",
    {**_FORGE, "words": ": Resource not accessible by personal access token"},
)
FORGE_HIDDEN = Message(
    "RepositoryNotFound",
    "the API of $host shows no such repository, or none of its $what, to this token, which may be good for git alone$words",
    "give the token rights to the repository and to them there, and see that spec.repositoryURL is its address",
    {**_FORGE, "words": ": Not Found"},
)
FORGE_MOVED = Message(
    "InvalidURL",
    "the API of $host redirects to $place, and redirects are not followed: spec.repositoryURL is not where the repository lives",
    "set it to where it lives: " + _SET_URL,
    {"host": "git.example.com", "place": "code.example.com"},
)
FORGE_UNKNOWN = Message(
    "InvalidSpec",
    "$host is no forge known by its name, and spec.provider does not say which it is: no pull request can be made there",
    "say which it is: " + _PATCH + """{"spec":{"provider":"github|gitlab|gitea"}}'""",
    {"host": "git.example.com"},
)
FORGE_NO_TOKEN = Message(
    "InvalidSecret",
    "pull requests are made over the forge's API, and Secret $SECRET has no key `token` for it",
    """set it: kubectl -n $NAMESPACE patch secret $SECRET -p '{"stringData":{"token":"VALUE"}}'""",
    {},
)
HOOK_TO_ENTER = Message(
    "NotRegistered",
    "no delivery has come yet; enter the hook at $host: URL $url, $fields",
    "",
    {
        "host": "git.example.com",
        "url": "https://hooks.example.com/hooks/5f2c...",
        "fields": "`token` of Secret 'hook-secret' as its secret, content type application/json, events push and pull requests",
    },
)
HOOK_NO_URL = Message(
    "NotRegistered",
    "nobody says where $host reaches the receiver, so the hook can't be registered",
    "say it for all with --hooks-url of the operator, or for this integration: "
    + _PATCH
    + """{"spec":{"webhook":{"baseURL":"https://HOST"}}}'""",
    {"host": "git.example.com"},
)
HOOK_REFUSED = Message(
    "PermissionDenied",
    "the operator could not register the hook: $said; enter it at $host by hand: URL $url, $fields",
    "or give the credentials the right to do so: it is tried again by itself",
    {
        "said": "the token may not make webhooks on api.github.com: Resource not accessible by integration",
        "host": "github.com",
        "url": "https://hooks.example.com/hooks/5f2c...",
        "fields": "`token` of Secret 'hook-secret' as its secret, content type application/json, events push and pull requests",
    },
)
HOOK_LEFT = Message(
    "NotRegistered",
    "the hook $id stays at $host, which did not let the operator remove it: $said",
    "",
    {"id": "4711", "host": "git.example.com", "said": "git.example.com did not answer within 10 s"},
)
HOOK_NO_TOKEN = Message(
    "InvalidSecret",
    "Secret '$secret' of spec.webhook.secretRef has no key `token` that could sign a delivery",
    """set it: kubectl -n $NAMESPACE patch secret $secret -p '{"stringData":{"token":"VALUE"}}'""",
    {"secret": "hook-secret"},
)
HOOK_NO_RECEIVER = Message(
    "NoReceiver",
    "nothing takes deliveries: the receiver of webhooks is not installed ($said)",
    "install it: kubectl apply --server-side -k manifests/hooks",
    {"said": 'secrets "gitintegration-hooks-5" not found'},
)
APP_UNKNOWN = Message(
    "InvalidSecret",
    "$host knows no installation $installation of GitHub App $app: is it installed for the repository's owner?",
    "install it there, or mend the number: " + _PATCH + """{"spec":{"credentials":{"installationID":"NUMBER"}}}'""",
    {"host": "api.github.com", "installation": "12345678", "app": "4711"},
)
APP_REFUSED = Message(
    "AuthenticationFailed",
    "$host does not accept the key of GitHub App $app: `githubAppID` and `githubAppPrivateKey` of Secret $SECRET must be a pair",
    "put a key of that App in: kubectl -n $NAMESPACE create secret generic $SECRET --from-literal=githubAppID=$app "
    "--from-file=githubAppPrivateKey=KEYFILE --dry-run=client -o yaml | kubectl apply -f -",
    {"host": "api.github.com", "app": "4711"},
)

# --- the cluster --------------------------------------------------------------------------------------------------------

_VERBS = "get,list,watch,create,update,delete"
_RIGHT: Mapping[str, object] = {
    "said": 'workflows.argoproj.io is forbidden: User "system:serviceaccount:gitintegration-system:gitintegration" cannot list resource '
    '"workflows" in API group "argoproj.io" in the namespace "data"',
    "resource": "workflows",
    "full": "workflows.argoproj.io",
}
OPERATOR_LACKS = Message(
    "Forbidden",
    "$said",
    "grant the operator that right by a ClusterRole with the label planasonix.com/aggregate-to-operator: "
    f"kubectl create clusterrole gitintegration-$resource --verb={_VERBS} --resource=$full && "
    "kubectl label clusterrole gitintegration-$resource planasonix.com/aggregate-to-operator=true",
    _RIGHT,
)
ACCOUNT_LACKS = Message(
    "Forbidden",
    "$said",
    f"grant it to ServiceAccount $account, as which pipelines of this integration are read and written: kubectl -n $space create role $account-$resource --verb={_VERBS} --resource=$full && "
    "kubectl -n $space create rolebinding $account-$resource --role=$account-$resource --serviceaccount=$space:$account",
    {
        **_RIGHT,
        "said": 'workflows.argoproj.io is forbidden: User "system:serviceaccount:data:pipelines-editor" cannot list resource "workflows" '
        'in API group "argoproj.io" in the namespace "data"',
        "account": "pipelines-editor",
        "space": "data",
    },
)
TENANT_LACKS = Message(
    "Forbidden",
    "$said",
    "grant the operator that right in this namespace: kubectl -n $space create rolebinding gitintegration --clusterrole=gitintegration-tenant --serviceaccount=$operator",
    {
        "said": 'secrets "git-credentials" is forbidden: User "system:serviceaccount:gitintegration-system:gitintegration" cannot get '
        'resource "secrets" in API group "" in the namespace "data"',
        "space": "data",
        "operator": "gitintegration-system:gitintegration",
    },
)
KIND_UNKNOWN = Message(
    "InvalidSpec",
    "the cluster does not serve $kind in $version, which spec.resources lists",
    "install its CRD, or see what there is: kubectl api-resources | grep -i $kind",
    {"kind": "Workflow", "version": "argoproj.io/v1alpha1"},
)
CONTESTED = Message(
    "Contested",
    "$key: $who puts back what is written from git; nothing of it is written any more",
    "let one of the two keep it, then: " + _SYNC,
    {"key": "Pipeline/orders", "who": "'argocd-controller' (its field manager)"},
)

# --- the spec ------------------------------------------------------------------------------------------------------------

_EDIT = "kubectl -n $NAMESPACE edit gitintegration $NAME"
SPEC_FIELD = Message(
    "InvalidSpec",
    "$field: $words",
    f"mend it: {_EDIT}",
    {"field": "spec.sync.interval", "words": "'5 minutes' is no duration as 30s, 5m or 1h30m"},
)
OPERATION_FIELD = Message(
    "InvalidSpec",
    "$field: $words",
    "mend it, and make the operation anew",
    {"field": "spec.push", "words": "a push needs it"},
)
URL_INVALID = Message(
    "InvalidURL",
    "spec.repositoryURL: $words",
    f"mend it: {_SET_URL}",
    {"words": "must end in the path of a repository, without ? or #"},
)
HOST_REFUSED = Message(
    "InvalidURL",
    "$host is not among the hosts that the operator may be sent to",
    "its administrator allows one with --allowed-hosts",
    {"host": "git.example.com"},
)
PLAIN_HTTP = Message(
    "InvalidURL",
    "$where has plain http, which the operator's administrator refuses (--require-tls)",
    "use https",
    {"where": "spec.repositoryURL"},
)
OVERLAP_KIND = Message(
    "Overlap",
    "$kind is claimed by GitIntegration $others as well, and neither writes what both claim",
    f"give both a spec.resources[].labelSelector of their own: {_EDIT}; or suspend one: "
    + _PATCH
    + """{"spec":{"enabled":false}}'""",
    {"kind": "Pipeline", "others": "'staging'"},
)
OVERLAP_ITEMS = Message(
    "Overlap",
    "GitIntegration $other claims $names as well, and neither writes what both claim",
    "have the labels of each, on the object and in its manifests, match spec.resources[].labelSelector of one of them: "
    "kubectl -n $NAMESPACE label $resource $pipeline KEY=VALUE --overwrite",
    {"other": "'staging'", "names": "Pipeline/crm and Pipeline/orders", "resource": "pipeline", "pipeline": "crm"},
)
OVERLAP_EDITED = Message(
    "Overlap",
    "$key went to GitIntegration $other, and $path was edited here since",
    "make the edit there, and remove this file: git rm $path",
    {"key": "Pipeline/orders", "other": "'staging'", "path": "pipelines/orders.yaml"},
)

# --- what waits for a person --------------------------------------------------------------------------------------------

SUSPENDED = Message(
    "Suspended",
    "syncing is suspended (spec.enabled is false)",
    "go on: " + _PATCH + """{"spec":{"enabled":true}}'""",
    {},
)
SUSPENDED_FOR = Message(
    "Suspended",
    "syncing is suspended (spec.suspend), $end: $why",
    "go on at once: " + _PATCH + """{"spec":{"suspend":null}}'""",
    {"end": "until 2026-12-24T18:00:00Z", "why": "the warehouse is moved"},
)
_CONFIRM = "If that is meant: kubectl -n $NAMESPACE annotate gitintegration $NAME planasonix.com/confirmDeletes=$digest --overwrite"
_HELD: Mapping[str, object] = {
    "count": "10 of 10 pipelines",
    "names": "crm, events, invoices, orders, people and 5 more",
    "digest": "1f0c3a5b7d9e",
}
HELD_IN_CLUSTER = Message(
    "DeletesHeld",
    "$count would be deleted in the cluster, as git has them no more: $names; nothing was deleted",
    "to keep them, put their files back (git revert COMMIT && git push). " + _CONFIRM,
    _HELD,
)
HELD_BRANCH_GONE = Message(
    "DeletesHeld",
    "branch '$branch' is gone from the repository, so $count would be deleted in the cluster: $names; nothing was deleted",
    "to keep them, push the branch again (git push origin $commit:refs/heads/$branch). " + _CONFIRM,
    {**_HELD, "branch": "main", "commit": "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"},
)
HELD_IN_GIT = Message(
    "DeletesHeld",
    "$count would be deleted in git, as the cluster has them no more: $names; nothing was deleted",
    "to keep them, restore them from git (echo $order | kubectl -n $NAMESPACE create -f -). " + _CONFIRM,
    {
        **_HELD,
        "count": "4 of 6 pipelines",
        "names": "crm, events, invoices, orders",
        "order": '{"apiVersion":"planasonix.com/v1alpha1","kind":"GitOperation","metadata":{"generateName":"restore-"},"spec":'
        '{"integrationRef":{"name":"analytics"},"kind":"pull","pull":{"revision":"9f8e7d6c5b4a39281706f5e4d3c2b1a098765432",'
        '"pipelines":["crm","events","invoices","orders"]}}}',
    },
)
HELD_COPIES = Message(
    "PrefixChanged",
    "spec.pathPrefix was '$before', and $count would be copied to '$prefix'; nothing was copied, and what lies below the old one stays",
    "to keep the old one (" + _PATCH + """{"spec":{"pathPrefix":"OLD"}}'). """ + _CONFIRM,
    {"before": "pipelines/", "prefix": "prod/", "count": "10 of 10 pipelines", "digest": "1f0c3a5b7d9e"},
)
NEWER_MEMORY = Message(
    "NewerMemory",
    "a newer release of the operator wrote what is remembered (format $found, this release reads $known): nothing is synced, both sides and "
    "what is remembered stay as they are",
    "run that release again. To stay with this one, have it forgotten: what both sides hold alike is agreed anew, what differs is told as "
    "conflicts, and what one side deleted meanwhile comes back from the other: kubectl -n $NAMESPACE delete gitintegrationbases "
    "-l planasonix.com/integration-uid=$uid && " + _SYNC,
    {"uid": "0b7c5f6e-3d7a-4c55-9d0e-5a1b2c3d4e5f", "found": 2, "known": 1},
)
CONFLICTS = Message(
    "Conflicts",
    "$count in conflict, both sides changed the same fields: $names",
    "make both sides equal there, or settle it by a pull with resolutions, or for all: "
    + _PATCH
    + """{"spec":{"sync":{"strategy":"ours"}}}' (spec.sync.strategy: ours is the cluster, theirs git)""",
    {"count": "1 pipeline", "names": "Pipeline/orders (spec.schedule)"},
)

# --- operations ---------------------------------------------------------------------------------------------------------

OPERATION_SUSPENDED = Message(
    "Suspended",
    "GitIntegration '$name' is suspended, so nothing was done",
    "resume it: "
    + _PATCH
    + """{"spec":{"enabled":true,"suspend":null}}'; or make the operation anew with spec.force: true""",
    {"name": "analytics"},
)
OPERATION_WAITS = Message(
    "IntegrationNotFound",
    "there is no GitIntegration '$name' in '$space'; it runs once there is one",
    "see which there are: kubectl -n $NAMESPACE get gitintegrations",
    {"name": "analytics", "space": "data"},
)
OPERATION_NO_BRANCH = Message(
    "BranchNotFound",
    "branch '$branch' is not in the repository $url",
    "name another, or create it; git ls-remote --heads $url shows which there are",
    {**_LOGIN, "branch": "feature/crm"},
)
UNKNOWN_PIPELINES = Message(
    "UnknownPipeline",
    "no pipeline of GitIntegration '$name' is called $names",
    "see which there are, in the cluster: kubectl -n $NAMESPACE get $resource; and in git, below $prefix",
    {"name": "analytics", "names": "ordesr", "resource": "pipelines", "prefix": "pipelines/"},
)
NOT_CARRIED_OWNED = Message(
    "UnknownPipeline",
    "$key is owned by a controller, which makes it from something else, so it is not carried",
    "keep its owner in git; this tells which: kubectl -n $NAMESPACE get $resource $pipeline -o jsonpath='{.metadata.ownerReferences}'",
    {"key": "Pipeline/nightly", "resource": "pipelines", "pipeline": "nightly"},
)
NOT_CARRIED_LABELS = Message(
    "UnknownPipeline",
    "$key lacks the labels that spec.resources[].labelSelector asks for, so it is not carried",
    "give it those: kubectl -n $NAMESPACE label $resource $pipeline $labels",
    {"key": "Pipeline/orders", "resource": "pipelines", "pipeline": "orders", "labels": ("team=crm",)},
)
NOT_CARRIED_IGNORED = Message(
    "UnknownPipeline",
    "$key is not carried, because its file $path is ignored",
    "take the pattern out of spec.ignore, or of .gitintegrationignore below the prefix",
    {"key": "Pipeline/orders", "path": "pipelines/orders.draft.yaml"},
)
NOT_AT_REVISION = Message(
    "UnknownPipeline",
    "commit $revision does not hold $names, so nothing was restored",
    "see which commits do: git log --oneline -- $prefix",
    {"revision": "9f8e7d6c5b4a", "names": "orders", "prefix": "pipelines/"},
)
NO_REVISION = Message(
    "InvalidSpec",
    "revision $revision $how '$branch'",
    "see which there are: git log --oneline origin/$branch",
    {"revision": "abc1234", "how": "is no commit of branch", "branch": "main"},
)
OPERATION_DELETES = Message(
    "DeletesHeld",
    "$count would be deleted in $side: $names; nothing was done",
    "if that is meant, run it with dryRun: true, then with the planDigest that it tells",
    {"count": "10 of 10 pipelines", "side": "git", "names": "crm, events, invoices, orders, people and 5 more"},
)
PLAN_STALE = Message(
    "PlanStale",
    "the plan is another now ($digest: $plan); nothing was done",
    "run it with dryRun: true again and look at what it would do",
    {"digest": "5d41402abc4b2a76", "plan": "2 updated"},
)
STALE_REMOTE = Message(
    "StaleRemote",
    "branch '$branch' is at $at, not at $expected, so nothing was done",
    "look at what came in between (git log $expected..origin/$branch), then decide again",
    {"branch": "main", "at": "0a1b2c3d4e5f", "expected": "9f8e7d6c5b4a"},
)
OPERATION_COPIES = Message(
    "PrefixChanged",
    "spec.pathPrefix was '$before', and $count would be copied to '$prefix'; nothing was copied",
    "if that is meant, run it with dryRun, then with its planDigest",
    {"before": "pipelines/", "prefix": "prod/", "count": "10 of 10 pipelines"},
)
OPERATION_CONFLICTS = Message(
    "Conflicts",
    "in conflict: $names; nothing was done",
    "settle them by a pull with resolutions: pull.resolutions: [{pipeline: $first, take: ours}] keeps the cluster's, theirs git's",
    {"names": "Pipeline/orders (spec.schedule)", "first": "orders"},
)

# --- files --------------------------------------------------------------------------------------------------------------

FILE_MERGE = Message(
    "NotYAML",
    "line $line: holds git's conflict markers (<<<<<<<): a merge was committed before it was settled",
    "settle it in the file, take the marker lines out, and commit it",
    {"line": 12},
)
FILE_TEMPLATE = Message(
    "NotYAML",
    "$said; its braces ({{ … }}) are a template's, not YAML",
    "commit rendered manifests, or name the file in spec.ignore",
    {"said": "line 4, column 9: did not find expected key"},
)
FILE_ENCRYPTED = Message(
    "Encrypted",
    "is encrypted: it is neither applied nor written",
    "keep pipelines in plain text, and secrets out of them",
    {},
)
FILE_EMPTY = Message(
    "EmptyFile",
    "is empty; what it held waits as it is",
    "put the manifest back, or delete the file if the pipeline is to go",
    {},
)
FILE_LFS = Message(
    "LFSPointer",
    "is a Git LFS pointer, not the manifest itself; what it held waits as it is",
    "take it out of LFS (git lfs untrack FILE && git add --renormalize FILE), and commit it",
    {},
)
FILE_NO_MANIFEST = Message(
    "NoManifest",
    "$found; what it held waits as it is",
    "put the manifest back, or delete the file if the pipeline is to go",
    {"found": "holds Deployment (apps/v1), which is no kind of spec.resources"},
)
VERSION_NOT_SERVED = Message(
    "Refused",
    "$key names apiVersion $asked, which the cluster does not serve",
    "name $served in its file, or have its CRD serve that version again",
    {"key": "Pipeline/orders", "asked": "planasonix.com/v1", "served": "planasonix.com/v1alpha1"},
)
FILE_TWICE = Message(
    "Duplicate",
    "$key stands in $others as well",
    "keep it in one of them, and take it out of the others (git rm FILE)",
    {"key": "Pipeline/orders", "others": "pipelines/old/orders.yaml"},
)

ALL: Mapping[str, Message] = {name: value for name, value in globals().items() if isinstance(value, Message)}


def render_messages() -> str:
    """Markdown: all of it, as somebody reads it whose integration is data/analytics."""
    place = Place("data", "analytics")
    lines = [
        "# Messages",
        "",
        "Generated by `make generate` from `operator/gitintegration/messages.py`: what conditions, operations and `status.invalid` say where",
        "somebody must act, each with an example, told of the GitIntegration `analytics` in the namespace `data` whose Secret is",
        "`git-credentials`. An entry of `status.invalid` stands behind the path of its file.",
        "",
    ]
    for message in ALL.values():
        words = message(**message.example)
        lines += [f"**{message.reason}**: {place.joined(words.of_secret('git-credentials'))}", ""]
    return "\n".join(lines)
