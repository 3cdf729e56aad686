"""docker-compose.yml, what it mounts, and the Dockerfile say nothing that is not so."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml

import settings as configuration
import worker
from api.app import create_app
from commands.every import app_of
from settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PENSTOCK = ("setup", "cli", "gateway-1", "gateway-2", "worker-1", "worker-2")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TO_BE_MADE = {"./penstock.toml", *(secret["file"] for secret in COMPOSE["secrets"].values())}

# Names that others' programs read, and where that is written down.
READ_BY_OTHERS = {
    # temporalio.envconfig; botocore, "Using environment variables"
    "penstock": {
        *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    },
    # Docker Official Image postgres, its description
    "postgres": {"POSTGRES_USER", "POSTGRES_PASSWORD_FILE"},
    # temporalio/temporal: common/config/config_template_embedded.yaml, and its entrypoint.sh
    "temporalio/server": {
        *("DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "POSTGRES_PWD", "BIND_ON_IP"),
        *("NUM_HISTORY_SHARDS", "PROMETHEUS_ENDPOINT", "DYNAMIC_CONFIG_FILE_PATH"),
    },
    # temporalio/temporal: tools/sql/main.go; and the command line's TEMPORAL_…
    "temporalio/admin-tools": {
        *("SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER", "SQL_PASSWORD", "SQL_DATABASE"),
        *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"),
    },
    # temporalio/ui: server/docker/config-template.yaml
    "temporalio/ui": {"TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE"},
    # Grafana, "Configure Grafana": GF_SECTION_KEY; "Configure a Grafana Docker image": …__FILE
    "grafana/grafana": {
        *("GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_PATHS_PROVISIONING", "GF_USERS_ALLOW_SIGN_UP"),
        *("GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES"),
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
    },
}
# Where each service listens; Penstock's ports are looked at below.
LISTENS = {
    "proxy": {8443, 8080},
    "temporal-ui": {8080},
    "prometheus": {9090},
    "grafana": {3000},
    "temporal": {7233, 8000},
    "postgres": {5432},
    "dynamodb": {8000},
    "gateway-1": {8080},
    "gateway-2": {8080},
    "worker-1": {9464},
    "worker-2": {9464},
}


def once(service: str) -> bool:
    """Whether it ends by itself."""
    return SERVICES[service]["restart"].startswith("on-failure") or service == "cli"


def test_it_is_a_compose_file():
    """By the Compose Specification's own schema (tests/data/compose/README.md)."""
    schema = json.loads((ROOT / "tests/data/compose/compose-spec.json").read_text())
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):
        broken = {**COMPOSE, "services": {"gateway": {"comand": ["gateway"]}}}
        jsonschema.Draft7Validator(schema).validate(broken)


def test_every_variable_is_read_by_somebody():
    """No name that nothing reads: Penstock's are settings, others' are written down above."""
    seen = 0
    for name, service in SERVICES.items():
        image = service["image"].split(":")[0]
        for variable in service.get("environment", {}):
            if not variable.startswith("PENSTOCK_"):
                assert variable in READ_BY_OTHERS[image], (name, variable)
            elif variable != "PENSTOCK_CONFIG":
                assert image == "penstock"
                fields = Settings.model_fields
                for part in variable.removeprefix("PENSTOCK_").lower().split("__"):
                    assert part in fields, (name, variable)
                    fields = getattr(fields[part].annotation, "model_fields", {})
                seen += 1
    assert seen >= 80


def test_every_command_exists():
    """Penstock's services run commands of its command line."""
    commands = set(typer.main.get_command(app_of()).commands)
    for service in PENSTOCK:
        (command,) = SERVICES[service]["command"]
        assert command in commands or (service, command) == ("cli", "--help")


def test_with_its_environment_a_process_could_start(tmp_path, monkeypatch):
    """Every Penstock service's variables and the file of docs/operations.md, put together."""
    (toml,) = re.findall(r"```toml\n(   \[limits\].*?)```", OPERATIONS, re.DOTALL)
    config = tmp_path / "penstock.toml"
    config.write_text("\n".join(line.removeprefix("   ") for line in toml.splitlines()))
    key = "2026-01-01 " + "A" * 43 + "=\n"
    for name in COMPOSE["secrets"]:
        (tmp_path / name).write_text(key if name == "token-keys" else "secret\n")
    for deployment in ("", "penstock"):
        for service in PENSTOCK:
            with monkeypatch.context() as patched:
                for variable, value in SERVICES[service]["environment"].items():
                    patched.setenv(variable, _filled(value, tmp_path, deployment))
                patched.setenv("PENSTOCK_CONFIG", str(config))
                found = configuration.load()
                found.check_secrets()
            assert found.worker.count == 2
            workers = service.startswith("worker") or service == "cli"
            named = ("penstock", "local") if deployment and workers else ("", "")
            assert found.worker.version == named


def _filled(value: str, folder: Path, deployment: str) -> str:
    """As Compose would fill it in, with secrets in a folder."""
    value = re.sub(r"\$\{WORKER_DEPLOYMENT:\+\$\{\w+:-(\w*)}}", r"\1" if deployment else "", value)
    value = value.replace("${WORKER_DEPLOYMENT:-}", deployment)
    value = re.sub(r"\$\{GITHUB_APP_ID:\?[^}]*}", "4242", value)
    assert "$" not in value, value
    return value.replace("/run/secrets", str(folder))


def test_images_are_pinned():
    """To a version of three parts, or two where there are no more; the Dockerfile's too."""
    files = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(set(files)) == 1
    for image in [*files, *(service["image"] for service in SERVICES.values())]:
        if not image.startswith("penstock:"):
            parts = r"1\d\.\d+" if image.startswith("postgres:") else r"v?\d+\.\d+\.\d+"
            assert re.fullmatch(rf"[a-z0-9./-]+:{parts}(-[a-z0-9.]+)*", image), image


def test_containers_may_do_no_more_than_they_must():
    """No root, no capabilities, nothing to write to but volumes and what is gone with them."""
    for name, service in SERVICES.items():
        user, _, group = service["user"].partition(":")
        assert int(user) > 0, name
        assert group.isdigit(), name
        assert service["cap_drop"] == ["ALL"]
        assert "cap_add" not in service
        assert "privileged" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is (name != "temporal-ui"), name
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == [SERVICES["cli"]["user"]]


def test_no_image_of_ours_runs_as_root() -> None:
    """Whoever is root while an image is built has gone before its program starts."""
    images = [path for path in ROOT.rglob("*Dockerfile*") if ".venv" not in path.parts]
    assert {path.relative_to(ROOT).as_posix() for path in images} >= {
        "Dockerfile",
        "deploy/runner/Dockerfile",
    }
    for path in images:
        text = path.read_text()
        users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
        assert users, path
        assert users[-1].split(":")[0] not in ("root", "0"), path
        assert text.rindex("USER ") < text.rindex("ENTRYPOINT "), path
        assert re.search(r"^ENTRYPOINT \[", text, re.MULTILINE), "no shell in between"
        assert not re.search(r"^(ENV|ARG) .*(SECRET|TOKEN|PASSWORD|KEY)", text, re.MULTILINE), path


def test_everything_is_watched_or_ends_by_itself():
    """A health check each, and whoever waits for another waits for what comes."""
    for name, service in SERVICES.items():
        assert once(name) is ("healthcheck" not in service), name
        assert once(name) or service["restart"] == "unless-stopped"
        for other, wait in service.get("depends_on", {}).items():
            ends = wait["condition"] == "service_completed_successfully"
            assert ends is once(other), (name, other)
    for name in ("gateway-1", "gateway-2", "worker-1", "worker-2"):
        check = SERVICES[name]["healthcheck"]["test"][-1]
        compile(check, name, "exec")
        port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", check).groups()
        assert {int(port)} == LISTENS[name]
        assert path == "/metrics" or path in _paths()


def test_published_ports_are_listened_on():
    """And only the proxy is reached from elsewhere than this host."""
    for name, service in SERVICES.items():
        for published in service.get("ports", []):
            *where, _, inside = published.split(":")
            assert int(inside) in LISTENS[name]
            assert where == ["127.0.0.1"] or (name, published) == ("proxy", "443:8443")
        environment = service.get("environment", {})
        if "command" in service and service["command"] == ["gateway"]:
            assert {int(environment["PENSTOCK_GATEWAY__PORT"])} == LISTENS[name]
        if "command" in service and service["command"] == ["worker"]:
            assert {int(environment["PENSTOCK_WORKER__METRICS_PORT"])} == LISTENS[name]


def test_prometheus_asks_all_who_tell():
    """Every gateway and worker, where they listen; Temporal where it was told to."""
    told = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert told["rule_files"] == ["recording.yml", "alerts.yml"]
    asked = {
        job["job_name"]: {t for one in job["static_configs"] for t in one["targets"]}
        for job in told["scrape_configs"]
    }
    ours = [name for name in SERVICES if name.startswith(("gateway-", "worker-"))]
    assert asked["penstock"] == {f"{name}:{port}" for name in ours for port in LISTENS[name]}
    endpoint = SERVICES["temporal"]["environment"]["PROMETHEUS_ENDPOINT"]
    assert asked["temporal"] == {f"temporal:{endpoint.split(':')[1]}"}
    assert {n for n in SERVICES if "back" in SERVICES[n]["networks"]} >= {*ours, "prometheus"}


def test_grafana_finds_prometheus_and_the_dashboard():
    """Provisioned from what is mounted."""
    folder = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((folder / "dashboards/penstock.yml").read_text())["providers"]
    grafana = SERVICES["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert provider["options"]["path"] == mounted["./deploy/grafana"]
    inside = grafana["environment"]["GF_PATHS_PROVISIONING"]
    assert inside == f"{mounted['./deploy/grafana']}/provisioning"


def test_the_proxy_lets_webhooks_in_and_nothing_else():
    """Its upstreams are the gateways, its limits theirs; what it forwards is a path of theirs."""
    conf = (ROOT / "deploy/nginx/penstock.conf").read_text()
    gateways = {f"{name}:8080" for name in SERVICES if name.startswith("gateway-")}
    assert set(re.findall(r"^    server (\S+) resolve", conf, re.MULTILINE)) == gateways
    assert set(map(int, re.findall(r"listen (\d+)", conf))) == LISTENS["proxy"]
    public = conf.split("listen 8443")[1].split("listen 8080")[0]
    assert re.findall(r"location (?:= )?(\S+) \{", public) == ["/webhooks/github", "/"]
    assert "/webhooks/github" in _paths()
    assert "return 404;" in public
    assert set(re.findall(r"client_max_body_size (\S+);", conf)) == {"1m"}
    assert Settings.model_fields["gateway"].default.max_body_bytes == 1024 * 1024
    keep = float(re.search(r"keepalive_timeout (\d+)s;", conf).group(1))
    assert keep < Settings.model_fields["gateway"].default.keep_alive_seconds
    for secret in re.findall(r"/run/secrets/(\S+);", conf):
        assert secret in SERVICES["proxy"]["secrets"]
    # Believed are addresses of a network in which there is nobody else.
    (believed,) = json.loads(
        SERVICES["gateway-1"]["environment"]["PENSTOCK_GATEWAY__TRUSTED_PROXIES"]
    )
    assert COMPOSE["networks"]["front"]["ipam"]["config"] == [{"subnet": believed}]
    front = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    assert front == {"proxy", "gateway-1", "gateway-2"}


def test_what_is_mounted_is_there():
    """In the repository, or named in docs/operations.md as to be made; all is declared."""
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source, *_ = volume.split(":")
            if source.startswith("./"):
                assert (ROOT / source).exists() or source in TO_BE_MADE, (name, source)
            else:
                assert source in COMPOSE["volumes"]
    for path in TO_BE_MADE:
        assert path.removeprefix("./") in OPERATIONS, path
    assert (ROOT / "docker-compose.yml").read_text().count("GITHUB_APP_ID") >= 1
    assert "GITHUB_APP_ID=" in OPERATIONS
    # Two workers' runners are known by process numbers: each has a folder of its own.
    states = [v for n in ("worker-1", "worker-2") for v in SERVICES[n]["volumes"] if "state" in v]
    assert len(set(states)) == 2


def test_no_secret_gets_into_an_image():
    """What is secret, and what is only of this folder, is left out of the build."""
    left_out = (ROOT / ".dockerignore").read_text().split("\n")
    assert {".git", ".env", "secrets", "penstock.toml", "*.pem", "*.key"} <= set(left_out)
    for needed in ("requirements", "pyproject.toml", "README.md", "cli.py"):
        assert needed not in left_out


def test_what_ends_is_given_time():
    """Longer than a gateway's lead and last answers, and a worker's last activities."""
    for name in ("gateway-1", "gateway-2"):
        assert (
            _seconds(name) >= Settings.model_fields["gateway"].default.shutdown_lead_seconds + 15
        )
    for name in ("worker-1", "worker-2"):
        assert _seconds(name) >= worker.GRACE.total_seconds() + 15


def test_temporals_namespace_is_made_once(server, tmp_path):
    """The script itself, on a real server, twice; the other one is a shell's program at least."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TEMPORAL_ADDRESS": server.running.address,
        "TEMPORAL_NAMESPACE": "penstock",
    }
    script = ROOT / "deploy/temporal/namespace.sh"
    for _ in range(2):
        subprocess.run(["sh", script], env=environment, check=True, capture_output=True)
    described = subprocess.run(
        ["temporal", "operator", "namespace", "describe", "--namespace", "penstock"],
        env=environment,
        check=True,
        capture_output=True,
    )
    assert b"168h" in described.stdout
    subprocess.run(["sh", "-n", ROOT / "deploy/temporal/schema.sh"], check=True)
    mounted = [v for s in SERVICES.values() for v in s.get("volumes", []) if v.endswith(".sh:ro")]
    assert len(mounted) == 2
    for volume in mounted:
        name = next(n for n, s in SERVICES.items() if volume in s.get("volumes", []))
        assert SERVICES[name]["entrypoint"][-1] == volume.split(":")[1]


def _seconds(service: str) -> int:
    return int(SERVICES[service]["stop_grace_period"].removesuffix("s"))


def _paths() -> set[str]:
    """The gateway's paths, from its code."""
    source = Path(sys.modules[create_app.__module__].__file__).parent
    text = "\n".join(path.read_text() for path in source.rglob("*.py"))
    return set(re.findall(r'"(/[a-z/]+)"', text))


def test_the_configuration_in_the_readme_is_valid_toml():
    """Whoever copies it can begin with it."""
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert set(tomllib.loads(block)) <= set(Settings.model_fields)


def test_no_lock_file_names_a_registry():
    """Hashes and versions, no address."""
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        assert "--index-url" not in text
        assert re.search(r"^temporalio==", text, re.MULTILINE)
