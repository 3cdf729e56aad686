"""The configuration: where each value comes from, and what is said of one that cannot be."""

from pathlib import Path

import pytest

import settings
from policy.priority_rules import Priorities, Rule
from policy.recovery import Timetable
from settings import InvalidSettings, load

CANARY = "an-unmistakable-secret"
HASH = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    """No penstock.toml of the working folder takes part."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def written(tmp_path):
    """Write a configuration file."""

    def write(text: str, name: str = "penstock.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def refusal(config: Path | None = None, **overrides) -> str:
    """The message of a configuration that cannot be used: one line, no secret."""
    with pytest.raises(InvalidSettings) as caught:
        load(config, **overrides).check_secrets()
    message = str(caught.value)
    assert "\n" not in message
    assert CANARY not in message
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None
    return message


def test_nothing_need_be_said():
    """Every key has a default."""
    found = load()
    assert (found.limits.max_runners, found.limits.default, found.gateway.port) == (6, 2, 8080)
    assert found.state_dir == Path(".penstock")


def test_a_file_says_all(written):
    """Every table of it is read."""
    found = load(
        written(
            f"""
            state_dir = "/var/lib/penstock"
            [limits]
            max_runners = 40
            max_repo_share = 0.25
            repos = {{ "Acme/API" = 7 }}
            orgs = {{ "Acme" = 9 }}
            [gateway]
            port = 9090
            labels = ["gpu"]
            admin_key_hashes = ["{HASH}"]
            [github]
            api_url = "https://github.example/api/v3"
            mode = "jit"
            [runner]
            command = ["/opt/run.sh", "--once"]
            environment = {{ HTTP_PROXY = "http://proxy" }}
            """
        )
    )
    assert found.state_dir == Path("/var/lib/penstock")
    assert found.limits.limits.repos == {"acme/api": 7}
    assert found.limits.limits.orgs == {"acme": 9}
    assert (found.gateway.port, found.gateway.labels) == (9090, ["gpu"])
    assert (found.github.api_url, found.github.mode) == ("https://github.example/api/v3", "jit")
    assert found.runner.command == ["/opt/run.sh", "--once"]
    assert found.runner.environment == {"HTTP_PROXY": "http://proxy"}


ENVIRONMENT = [
    ("PENSTOCK_STATE_DIR", "/srv/p", lambda s: str(s.state_dir), "/srv/p"),
    ("PENSTOCK_LIMITS__MAX_RUNNERS", "12", lambda s: s.limits.max_runners, 12),
    ("PENSTOCK_LIMITS__MAX_REPO_SHARE", "1.0", lambda s: s.limits.max_repo_share, 1.0),
    ("PENSTOCK_LIMITS__REPOS", '{"a/b": 3}', lambda s: s.limits.repos, {"a/b": 3}),
    ("PENSTOCK_LIMITS__ORGS", '{"a": 4}', lambda s: s.limits.orgs, {"a": 4}),
    ("PENSTOCK_GATEWAY__HOST", "::1", lambda s: s.gateway.host, "::1"),
    ("PENSTOCK_GATEWAY__LABELS", '["a", "b"]', lambda s: s.gateway.labels, ["a", "b"]),
    ("PENSTOCK_GATEWAY__WEBHOOK_SECRET", CANARY, lambda s: s.gateway.secret, CANARY),
    ("PENSTOCK_GITHUB__APP_ID", "42", lambda s: s.github.app_id, "42"),
    ("PENSTOCK_GITHUB__TOKEN", CANARY, lambda s: s.github.personal_token, CANARY),
    ("PENSTOCK_GITHUB__PRIVATE_KEY", CANARY, lambda s: s.github.key, CANARY),
    ("PENSTOCK_RUNNER__COMMAND", '["run"]', lambda s: s.runner.command, ["run"]),
    ("PENSTOCK_RUNNER__ENVIRONMENT", '{"A": "b"}', lambda s: s.runner.environment, {"A": "b"}),
    ("PENSTOCK_RUNNER__MAX_LAUNCHES", "9", lambda s: s.runner.max_launches, 9),
]


@pytest.mark.parametrize(
    ("key", "text", "ask", "value"), ENVIRONMENT, ids=[e[0] for e in ENVIRONMENT]
)
def test_the_environment_overrides(monkeypatch, key, text, ask, value):
    """Every table; lists and dictionaries as JSON."""
    monkeypatch.setenv(key, text)
    assert ask(load()) == value


def test_arguments_then_environment_then_file(written, monkeypatch):
    """The nearer one wins, key by key: the rest of a table stays."""
    file = written("[limits]\nmax_runners = 10\ndefault = 3\n[gateway]\nport = 1234\n")
    monkeypatch.setenv("PENSTOCK_LIMITS__MAX_RUNNERS", "20")
    found = load(file)
    assert (found.limits.max_runners, found.limits.default) == (20, 3)
    found = load(file, limits={"max_runners": 30})
    assert (found.limits.max_runners, found.limits.default, found.gateway.port) == (30, 3, 1234)


def test_the_file_is_found_by_argument_then_environment_then_name(written, monkeypatch):
    """--config, PENSTOCK_CONFIG, ./penstock.toml, or none."""
    assert load().limits.default == 2
    written("[limits]\ndefault = 3\n")
    assert load().limits.default == 3
    monkeypatch.setenv("PENSTOCK_CONFIG", str(written("[limits]\ndefault = 4\n", "four.toml")))
    assert load().limits.default == 4
    assert load(written("[limits]\ndefault = 5\n", "five.toml")).limits.default == 5
    monkeypatch.delenv("PENSTOCK_CONFIG")
    assert load().limits.default == 3, "a former file is remembered"


WRONG = [
    ("[limits]\nmax_runner = 3", "limits.max_runner: there is no such key"),
    ("nonsense = 1", "nonsense: there is no such key"),
    ("[colours]\nred = 1", "colours: there is no such key"),
    ('[limits]\nmax_runners = "many"', "limits.max_runners: "),
    ("[limits]\nmax_runners = -1", "limits: max_runners must be"),
    ("[limits]\nmax_repo_share = 0.0", "limits: max_repo_share must be"),
    ('[limits]\nrepos = { "no-slash" = 1 }', "limits: repos: 'no-slash'"),
    ('[limits]\nrepos = { "a/b" = "x" }', "limits.repos.a/b: "),
    ("[gateway]\nport = 70000", "gateway.port: "),
    ("[gateway]\nlabels = []", "gateway.labels: "),
    ("[gateway]\nlabels = 'linux'", "gateway.labels: "),
    ("[gateway]\nadmin_key_hashes = ['an-unmistakable-secret']", "gateway.admin_key_hashes: "),
    ("[gateway]\ntemporal_timeout_seconds = 60", "gateway.temporal_timeout_seconds: "),
    ("[github]\napi_url = 'github.com'", "github.api_url: "),
    ("[github]\nmode = 'magic'", "github.mode: "),
    ("[github]\nscope = 'enterprise'", "github.scope: "),
    ("[github]\ntoken = ['an-unmistakable-secret']", "github.token: "),
    ("[github]\ntokn = 'an-unmistakable-secret'", "github.tokn: there is no such key"),
    ("[runner]\nlauncher = 'kubernetes'", "runner.launcher: "),
    ("[runner]\ncommand = 'run.sh'", "runner.command: "),
    ("[dead_letters]\nstore = 'kafka'", "dead_letters.store: "),
    ("[dead_letters]\nmax_letters = 0", "dead_letters.max_letters: "),
    ("[dead_letters]\nqueue_name = 'a.fifo'", "dead_letters.queue_name: "),
    ("[dead_letters]\nqueue_url = 'sqs'", "dead_letters.queue_url: "),
    (
        "[dead_letters]\nqueue_url = 'https://sqs.x/1/a.fifo'",
        "dead_letters.queue_url: name a standard queue",
    ),
    ("limits = 3", "limits: "),
]


@pytest.mark.parametrize(("text", "begins"), WRONG, ids=[w[1].rstrip(": ") for w in WRONG])
def test_a_wrong_key_is_named_with_its_file(written, text, begins):
    """One line: the key, what is wrong with it, where."""
    message = refusal(written(text))
    assert message.startswith(begins)
    assert message.endswith("penstock.toml)")


@pytest.mark.parametrize(
    ("key", "text", "names"),
    [
        ("PENSTOCK_LIMITS__MAX_RUNNERS", "many", "limits.max_runners"),
        ("PENSTOCK_LIMITS__MAX_RUNNER", "3", "limits.max_runner"),
        ("PENSTOCK_LIMITS__REPOS", "{not json", "repos"),
        ("PENSTOCK_LIMITS", "{not json", "limits"),
        ("PENSTOCK_GATEWAY__LABELS", "self-hosted,linux", "labels"),
        ("PENSTOCK_GITHUB__TOKN", CANARY, "github.tokn"),
        ("PENSTOCK_GITHUB", CANARY, "github"),
        ("PENSTOCK_RUNNER__COMMAND", f'["run", "{CANARY}"', "command"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, key, text, names):
    """One line that names the key, and never the value."""
    monkeypatch.setenv(key, text)
    assert names in refusal().lower()


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    """A file that was asked for must exist, whoever asked."""
    assert "nowhere.toml" in refusal(tmp_path / "nowhere.toml")
    assert str(tmp_path) in refusal(tmp_path)
    monkeypatch.setenv("PENSTOCK_CONFIG", "elsewhere.toml")
    assert "elsewhere.toml" in refusal()


def test_a_broken_file(written):
    """The message has the file and the line."""
    message = refusal(written("[limits\nmax_runners = 3"))
    assert "penstock.toml" in message
    assert "line 1" in message


def test_a_file_that_is_no_text(written):
    """Told as what it is."""
    file = written("")
    file.write_bytes(b"\xff\xfe\x00")
    assert "penstock.toml" in refusal(file)


SECRETS = [
    ("gateway", "webhook_secret", lambda s: s.gateway.secret),
    ("github", "private_key", lambda s: s.github.key),
    ("github", "token", lambda s: s.github.personal_token),
]
TABLES = {
    "gateway": {"webhook_secret": "w"},
    "github": {"token": "t"},
    "runner": {"command": ["run"]},
}


@pytest.mark.parametrize(("table", "key", "ask"), SECRETS, ids=[s[1] for s in SECRETS])
def test_a_secret_by_value_or_by_file(tmp_path, table, key, ask):
    """The same either way; a file's last line may end."""
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\n")
    assert ask(load(**{table: {key: CANARY}})) == CANARY
    assert ask(load(**{table: {f"{key}_file": file}})) == CANARY
    assert ask(load()) == ""


@pytest.mark.parametrize(("table", "key", "ask"), SECRETS, ids=[s[1] for s in SECRETS])
@pytest.mark.parametrize("fault", ["both", "missing", "a folder", "no text"])
def test_a_secret_that_cannot_be_had_is_named(tmp_path, table, key, ask, fault):
    """Both at once, or a file that cannot be read: one line with the table and the key."""
    file = tmp_path / "secret"
    given = {f"{key}_file": file}
    if fault == "both":
        file.write_text(CANARY)
        given[key] = CANARY
    elif fault == "a folder":
        file.mkdir()
    elif fault == "no text":
        file.write_bytes(b"\xff" + CANARY.encode())
    beside = {"app_id": "1"} if table == "github" else {}
    tables = {**TABLES, table: {**beside, **given}}
    assert f"{table}.{key}" in refusal(**tables)


@pytest.mark.parametrize(
    ("without", "names"),
    [
        ({"gateway": {}}, "gateway.webhook_secret"),
        ({"github": {}}, "github"),
        ({"github": {"app_id": "1"}}, "github"),
        ({"github": {"token": "t", "app_id": "1", "private_key": "k"}}, "github"),
        ({"runner": {}}, "runner.command"),
    ],
)
def test_what_a_worker_cannot_do_without(without, names):
    """check_secrets names what is missing."""
    assert refusal(**{**TABLES, **without}).startswith(names)


def test_what_is_enough_passes():
    """A personal token, or an App and its key."""
    load(**TABLES).check_secrets()
    load(**{**TABLES, "github": {"app_id": "1", "private_key": "k"}}).check_secrets()


def test_an_empty_secret_file_is_a_missing_secret(tmp_path):
    """Not an empty HMAC key that everybody knows."""
    (tmp_path / "empty").write_text("\n")
    given = {**TABLES, "gateway": {"webhook_secret_file": tmp_path / "empty"}}
    assert refusal(**given).startswith("gateway.webhook_secret")


def test_no_secret_shows_itself():
    """Neither printed nor dumped."""
    found = load(
        gateway={"webhook_secret": CANARY}, github={"private_key": CANARY, "token": CANARY}
    )
    shown = [repr(found), str(found), repr(found.gateway), str(found.github)]
    shown += [str(found.model_dump()), found.model_dump_json()]
    assert not [text for text in shown if CANARY in text]


def test_nothing_can_be_changed():
    """Read once, the same for all."""
    found = load()
    for change in (found, found.limits):
        with pytest.raises(ValueError, match="frozen"):
            change.max_runners = 1
    assert Path("penstock.toml") == settings.DEFAULT_FILE


def test_rules_of_priorities_go_before_the_defaults(written):
    """In their order; the defaults can be turned off."""
    file = written(
        "[priorities]\ndefaults = false\ntrust_payload = false\n"
        '[[priorities.rules]]\npriority = "low"\nbranch = "@default"\nlabels = ["gpu"]\n'
        '[[priorities.rules]]\npriority = "high"\n'
    )
    found = load(file).priorities.priorities
    assert found == Priorities(
        (Rule("low", branch="@default", labels=("gpu",)), Rule("high")), trust_payload=False
    )
    assert load(written("", "empty.toml")).priorities.priorities == Priorities()


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('[[priorities.rules]]\npriority = "urgent"\n', "priorities.rules.0.priority"),
        ('[[priorities.rules]]\nbranch = "main"\n', "priorities.rules.0.priority"),
        ('[[priorities.rules]]\npriority = "low"\nbranches = "x"\n', "no such key"),
        (
            '[[priorities.rules]]\npriority = "low"\n[[priorities.rules]]\npriority = "high"\n',
            "rule 1 has no condition",
        ),
    ],
)
def test_a_wrong_rule_is_one_line_that_names_it(written, rules, said):
    """Before anything is started."""
    file = written(rules)
    with pytest.raises(InvalidSettings) as error:
        load(file)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_several_webhook_secrets_serve_while_one_is_replaced(written):
    """One a line; empty lines do not count."""
    path = written("new\n\n  old  \n", "secrets")
    found = load(gateway={"webhook_secret_file": path}).gateway
    assert (found.secrets, found.secret) == (["new", "old"], "new")
    path.write_bytes(b"\xef\xbb\xbfnew\r\nold\r\n")
    assert load(gateway={"webhook_secret_file": path}).gateway.secrets == ["new", "old"]
    assert load(gateway={"webhook_secret": "new\nold"}).gateway.secrets == ["new", "old"]
    assert load().gateway.secrets == []


def test_several_workers_want_a_shared_store():
    """Budgets in memory would hold for each worker alone."""
    said = refusal(worker={"count": 2})
    assert "worker.count is 2" in said
    assert "tokens.store = 'dynamodb'" in said
    assert load(worker={"count": 2}, tokens={"store": "dynamodb"}).worker.count == 2
    assert load().tokens.store == "memory"


def test_a_shared_store_wants_keys(written):
    """Tokens lie there sealed."""
    good = {
        "gateway": {"webhook_secret": CANARY},
        "github": {"token": CANARY},
        "runner": {"command": ["true"]},
    }
    said = refusal(tokens={"store": "dynamodb"}, **good)
    assert "penstock token-key create" in said
    keys = written(f"new {CANARY}\n", "keys")
    found = load(tokens={"store": "dynamodb", "encryption_keys_file": keys}, **good)
    found.check_secrets()
    assert found.tokens.keys_text == f"new {CANARY}"
    both = {"encryption_keys_file": keys, "encryption_keys": {"a": CANARY}}
    assert "not both" in refusal(tokens={"store": "dynamodb", **both}, **good)
    by_name = {"store": "dynamodb", "encryption_keys_secret": "penstock/keys"}
    load(tokens=by_name, **good).check_secrets()
    given = load(tokens={"encryption_keys": {"b": CANARY, "a": "x"}})
    assert given.tokens.keys_text.splitlines() == [f"b {CANARY}", "a x"]
    assert CANARY not in repr(given)


def test_a_credential_is_given_once():
    """By value, by file, or by its name at AWS; an App or a person."""
    base = {"gateway": {"webhook_secret": CANARY}, "runner": {"command": ["true"]}}
    app = {"app_id": "7", "private_key": CANARY}
    load(github={"app_id": "7", "private_key_secret": "pem"}, **base).check_secrets()
    load(github={"token_secret": "pat"}, **base).check_secrets()
    assert "once" in refusal(github={**app, "private_key_secret": "pem"}, **base)
    assert "once" in refusal(github={"token": CANARY, "token_secret": "pat"}, **base)
    assert "either" in refusal(github={**app, "token_secret": "pat"}, **base)


def test_a_runner_group_wants_an_organization():
    """Repositories have none."""
    assert "scope" in refusal(github={"runner_group": "gpu"})
    assert load(github={"runner_group": "gpu", "scope": "organization"}).github.runner_group
    assert "runner_group_id" in refusal(github={"runner_group_id": 5, "mode": "jit"})


def test_a_groups_number_counts_where_it_is_sent():
    """A runner that registers itself is told its group by name."""
    of_org = {"runner_group_id": 5, "scope": "organization"}
    assert "github.runner_group" in refusal(github=of_org)
    assert load(github={**of_org, "mode": "jit"}).github.runner_group_id == 5


def test_a_key_may_come_in_one_line(monkeypatch):
    """As environments of containers carry it."""
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    for text in (pem, pem.replace("\n", "\\n")):
        monkeypatch.setenv("PENSTOCK_GITHUB__PRIVATE_KEY", text)
        assert load().github.key == pem


def test_credentials_at_aws_are_credentials():
    """`penstock dev` then starts no simulated GitHub."""
    assert not load().github.is_given
    for given in ({"token_secret": "pat"}, {"app_id": "7"}, {"token": "t"}, {"token_file": "/t"}):
        assert load(github=given).github.is_given


def test_the_budget_of_a_repository_depends_on_the_mode():
    """One registration token serves 45 minutes of runners; one JIT configuration one runner."""
    assert load().github.repository_budget == 5
    assert load(github={"mode": "jit"}).github.repository_budget is None
    how = {"mode": "jit", "tokens_per_repository_per_hour": 9}
    assert load(github=how).github.repository_budget == 9


def test_addresses_lose_their_last_slash():
    """`https://ghes.example.org/api/v3/` is as good."""
    found = load(github={"api_url": "https://ghes.example.org/api/v3/"})
    assert found.github.api_url == "https://ghes.example.org/api/v3"


@pytest.mark.parametrize("table", ["a", "with space", "x" * 256])
def test_a_table_has_a_name_that_dynamodb_takes(table):
    """3 to 255 letters, digits, _ . -."""
    assert "tokens.table" in refusal(tokens={"table": table})


def test_the_recovery_runs_unless_it_is_told_not_to(written):
    """Every two minutes, for sixty points; places as GitHub writes them."""
    assert load().recovery.timetable == Timetable(True, 120, 60)
    found = load(
        written(
            """
            [recovery]
            every_seconds = 300
            points_per_run = 100
            hooks = ["acme/api", "acme"]
            webhook_url = "https://ci.acme.test/webhooks/github"
            repositories = ["acme/a.b-c"]
            """
        )
    ).recovery
    assert found.timetable == Timetable(True, 300, 100)
    assert (found.hooks, found.repositories) == (["acme/api", "acme"], ["acme/a.b-c"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"hooks": ["acme/api/7"]}, "recovery.hooks: 'acme/api/7' is not owner/repo or owner"),
        ({"repositories": ["acme"]}, "recovery.repositories: 'acme' is not owner/repo"),
        ({"repositories": ["../etc"]}, "recovery.repositories: '../etc' is not owner/repo"),
        ({"repositories": ["acme/.."]}, "recovery.repositories: 'acme/..' is not owner/repo"),
        ({"webhook_url": "ci.acme.test"}, "recovery.webhook_url: "),
        ({"every_seconds": 5}, "recovery.every_seconds: "),
        ({"points_per_run": 5}, "recovery.points_per_run: "),
    ],
)
def test_a_wrong_recovery_is_one_line_that_names_it(table, said):
    """Nothing of it enters a path at GitHub unseen."""
    assert refusal(recovery=table).startswith(said)


def test_what_the_gateway_bears(written):
    """Defaults that are safe on the internet; each can be set."""
    found = load().gateway
    assert (found.max_body_bytes, found.max_header_bytes) == (1024**2, 16 * 1024)
    assert (found.max_connections, found.max_buffered_bytes) == (2000, 64 * 1024**2)
    assert (found.header_timeout_seconds, found.body_timeout_seconds) == (10.0, 20.0)
    assert (found.send_timeout_seconds, found.keep_alive_seconds) == (30.0, 5)
    assert (found.shutdown_lead_seconds, found.trusted_proxies) == (0.0, [])
    file = written(
        '[gateway]\nmax_body_bytes = 26214400\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n'
    )
    assert load(file).gateway.max_body_bytes == 25 * 1024**2


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"trusted_proxies": ["10.0.0.1/8"]}, "gateway.trusted_proxies: 10.0.0.1/8 has host bits"),
        ({"trusted_proxies": ["*"]}, "gateway.trusted_proxies: '*' does not appear to be"),
        ({"trusted_proxies": ["proxy.example"]}, "gateway.trusted_proxies: 'proxy.example'"),
        ({"max_body_bytes": 26 * 1024**2}, "gateway.max_body_bytes: "),
        ({"max_header_bytes": 100}, "gateway.max_header_bytes: "),
        ({"max_connections": 0}, "gateway.max_connections: "),
        ({"header_timeout_seconds": 0}, "gateway.header_timeout_seconds: "),
        ({"shutdown_lead_seconds": -1}, "gateway.shutdown_lead_seconds: "),
        (
            {"max_body_bytes": 2 * 1024**2, "max_buffered_bytes": 1024**2},
            "gateway: max_buffered_bytes must not be less than max_body_bytes",
        ),
    ],
)
def test_what_it_cannot_bear_is_named(gateway, said):
    """One line, before anything is started."""
    assert refusal(gateway=gateway).startswith(said)
