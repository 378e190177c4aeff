"""The JSON Schemas say what the loaders do, and what ships and is published fits them."""
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = {name: json.loads((ROOT / "schema" / f"{name}.schema.json").read_text()) for name in ("config", "limits", "event")}


class Plain(yaml.SafeLoader):
    """YAML as the loaders of vitalsd read it: `on` and dates are words."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(("timestamp", "sexagesimal"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def validator(name, definition=None):
    schema = SCHEMAS[name]
    if definition:
        schema = {"$schema": schema["$schema"], "$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


def findings(name, data, definition=None):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator(name, definition).iter_errors(data)]


def load(path):
    return yaml.load((ROOT / path).read_text(), Plain)


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("schema, definition, path", [
    ("config", None, "packaging/vitalsd.yaml"),
    ("limits", None, "alarms/sets/ketamine-adult.yaml"),
] + [("config", "profile", f"plugins/modbus/profiles/{p.name}") for p in sorted((ROOT / "plugins/modbus/profiles").glob("*.yaml"))])
def test_what_ships_fits(schema, definition, path):
    assert findings(schema, load(path), definition) == []


# -- the keys are those of the loaders ---------------------------------------------------------------------------------

def known_keys():
    """{format: {path: (type, required)}} as the loaders have them."""
    keys = {}
    for line in subprocess.run([os.environ["LIST_FORMAT"]], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        keys.setdefault(words[0], {})[words[1]] = (words[2], "required" in words)
    return keys


def resolve(schema, root):
    while "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def schema_keys(schema, root, path="", out=None):
    """{path: required}: every key that the schema allows."""
    out = {} if out is None else out
    schema = resolve(schema, root)
    for choice in schema.get("oneOf", []):
        schema_keys(choice, root, path, out)
    if "items" in schema:
        schema_keys(schema["items"], root, path, out)
    for key, inner in schema.get("properties", {}).items():
        deeper = f"{path}.{key}" if path else key
        out[deeper] = out.get(deeper, False) or key in schema.get("required", [])
        schema_keys(inner, root, deeper, out)
    return out


@pytest.mark.parametrize("form, name, definition", [("config", "config", None), ("profile", "config", "profile"), ("limits", "limits", None)])
def test_the_keys_are_those_of_the_loader(form, name, definition):
    root = SCHEMAS[name]
    there = schema_keys(root["$defs"][definition] if definition else root, root)
    known = known_keys()[form]
    assert set(there) == set(known)
    short = {"value", "baseline"}  # one of two ways to write a limit: each is required in its own
    for path, (_, required) in known.items():
        if path.split(".")[-1] not in short:
            assert there[path] == required, path


@pytest.mark.parametrize("form", ["config", "profile"])
def test_every_key_is_documented(form):
    text = (ROOT / "docs/configuration.md").read_text()
    for path in known_keys()[form]:
        assert f"`{path.split('.')[-1]}`" in text, path


def test_every_key_of_limit_sets_is_documented():
    words = set(re.findall(r"[a-z_]+", (ROOT / "alarms/sets/ketamine-adult.yaml").read_text()))
    metrics = set(re.findall(r'METRIC\(\w+, +"(\w+)"', (ROOT / "core/metrics.def").read_text()))
    for path in known_keys()["limits"]:
        key = path.split(".")[-1]
        assert key in words | metrics | {"value"}, path  # `limit: 160` is short for { value: 160 }


# -- what is wrong for the loaders is wrong here, as far as a schema can tell -------------------------------------------

GOOD = """
site: s
log: { path: /l }
chairs:
  - id: a
    limits: ketamine-adult
    devices:
      - { id: o, plugin: nonin-df2, serial: { path: /dev/ttyS0 } }
      - { id: b, plugin: modbus, tcp: { host: h }, poll: 1s, registers: [ { metric: spo2, table: input, address: 1 } ] }
"""


@pytest.mark.parametrize("old, new", [
    ("site: s", "sites: s"),
    ("log: { path: /l }", "log: /l"),
    ("path: /l", "path: /l, custody: 8Mb"),
    ("id: a", "id: A"),
    ("limits: ketamine-adult", ""),
    ("serial: { path: /dev/ttyS0 }", ""),
    ("serial: { path: /dev/ttyS0 }", "serial: { path: ttyS0 }"),
    ("serial: { path: /dev/ttyS0 }", "rtu: { path: /dev/ttyS0 }"),
    ("serial: { path: /dev/ttyS0 }", "serial: { path: /dev/ttyS0 }, unit: 1"),
    ("tcp: { host: h }", "serial: { path: /dev/ttyS1 }"),
    ("tcp: { host: h }", "tcp: { host: h, port: 65536 }"),
    ("tcp: { host: h }", "tcp: { host: h }, unit: 256"),
    ("poll: 1s", "poll: 1"),
    ("poll: 1s", "profile: x"),
    ("metric: spo2", "metric: sp02"),
    ("metric: spo2", "metric: spo2, flag: x"),
    ("address: 1", "address: 65536"),
    ("address: 1", "address: 1, scale: 0"),
    ("address: 1", "address: 1, invalid: 0"),
])
def test_a_wrong_configuration_is_wrong(old, new):
    assert findings("config", yaml.load(GOOD, Plain)) == []
    assert old in GOOD
    assert findings("config", yaml.load(GOOD.replace(old, new, 1), Plain)) != []


RULE = "sets: [ { name: a, rules: [ { id: x, metric: nibp_sys, when: above, limit: 150, priority: low, confirm: 2 } ] } ]"


@pytest.mark.parametrize("old, new", [
    ("name: a", "title: a"),
    ("name: a", "name: A B"),
    ("metric: nibp_sys", "metric: cuff_pressure"),
    ("when: above", "when: over"),
    ("limit: 150", "limit: 221"),
    ("limit: 150", "limit: { baseline: '130%', at_most: 221 }"),
    ("limit: 150", "limit: { baseline: 130% up }"),
    ("limit: 150", "limit: { at_most: 150 }"),
    ("metric: nibp_sys, when: above, limit: 150", "metric: spo2, when: below, limit: 79"),
    ("metric: nibp_sys, when: above, limit: 150", "metric: hr, when: '<', limit: 29"),
    ("priority: low", "priority: urgent"),
    ("confirm: 2", "confirm: 31"),
    ("confirm: 2", "hysteresis: 5, clear: 140"),
    ("confirm: 2", "on_delay: 5"),
    ("confirm: 2", "escalate: { after: 60s }"),
])
def test_a_wrong_rule_is_wrong(old, new):
    assert findings("limits", yaml.load(RULE, Plain)) == []
    assert old in RULE
    assert findings("limits", yaml.load(RULE.replace(old, new, 1), Plain)) != []


# -- events ------------------------------------------------------------------------------------------------------------

ALARM = {
    "v": 1, "site": "north-clinic", "chair": "chair-1", "kind": "alarm", "epoch": 7, "seq": 12,
    "time": "2026-11-21T22:21:39.512Z", "session": "s-20261121-3", "alarm": "a-000031", "rule": "sbp-hi-crit",
    "class": "physiological", "metric": "nibp_sys", "device": "bp", "priority": "high", "change": "raised", "state": "active",
    "signal": "on", "value": 184, "limit": 180, "unit": "mm[Hg]", "direction": "high", "onset": "2026-11-21T22:21:39.508Z",
    "text": "*** Systolic pressure 184, limit 180"}
ENVELOPE = {k: ALARM[k] for k in ("v", "site", "chair", "epoch", "seq", "time")}
VITALS = {**ENVELOPE, "kind": "vitals", "session": None, "device": "oximeter", "values": {"spo2": 97, "pr": 72}, "flags": []}
ALIVE = {**ENVELOPE, "kind": "alive", "session": None, "last": {"vitals": 40211, "alarm": 12, "session": 3, "entry": 0, "device": 2, "request": 0},
         "alarms": {"high": 1, "medium": 0, "low": 0}, "phase": "none"}
DEVICE = {**ENVELOPE, "kind": "device", "session": None, "device": "bp", "status": "online", "detail": ""}


@pytest.mark.parametrize("event", [ALARM, VITALS, ALIVE, DEVICE], ids=lambda e: e["kind"])
def test_events_fit(event):
    assert findings("event", event) == []


@pytest.mark.parametrize("event, change", [
    (ALARM, {"v": 2}), (ALARM, {"seq": 0}), (ALARM, {"time": "2026-11-21 22:21:39"}), (ALARM, {"priority": "urgent"}),
    (ALARM, {"state": "on"}), (ALARM, {"change": None}), (ALARM, {"onset": None}), (ALARM, {"value": "184"}),
    (VITALS, {"values": {"spo2": None}}), (VITALS, {"flags": None}), (VITALS, {"kind": "vital"}),
    (ALIVE, {"alarms": {"high": 1}}), (ALIVE, {"last": {"vitals": -1}}), (DEVICE, {"status": "up"}), (DEVICE, {"chair": "Chair 1"}),
], ids=str)
def test_wrong_events_do_not(event, change):
    assert findings("event", {**event, **change}) != []
