"""Exports against what others say they must be: FHIR R4 by its official JSON schema and a validator, HL7 v2.6 by a parser
and the definitions of its segments.  All of them come from Debian or npm (standards.py)."""
import collections
import json
import re

import hl7
import pytest

from record import add_event, ctl, sql, write
from standards import fhir_findings, hl7_definitions

# Names as people really type them: every character that HL7 v2 and JSON give a meaning to.
PATIENT = "P|7^a~b&c\\d\r\n☃"
OPERATOR = "O'Neil & <Söhne>"
UCUM = "http://unitsofmeasure.org"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Two sessions: a plain one, and one with every kind of entry in it."""
    folder = tmp_path_factory.mktemp("standards")
    published = write(folder, "--readings", 920, "--step-ms", 1000)
    path = folder / "vitals.db"
    sessions = sorted({m["session"] for m in published if m["session"]})
    second = sessions[1]
    at = int(sql(path, f"SELECT started_ms FROM audit_session WHERE session = '{second}'"))
    for body in (
            {"phase": "baseline", "from": "screening", "patient": PATIENT, "operator": OPERATOR, "reason": "go on"},
            {"entry": "pain", "number": 1, "value": 3, "unit": "{score}", "operator": OPERATOR},
            {"entry": "oxygen", "number": 2, "value": 2, "unit": "L/min", "operator": OPERATOR},
            {"entry": "weight", "number": 3, "value": 70.5, "unit": "kg", "operator": OPERATOR},
            {"entry": "pain", "number": 4, "value": 4, "unit": "{score}", "operator": OPERATOR, "corrects": 1, "note": "mistyped"},
            {"entry": "vas", "number": 5, "value": 40, "unit": "mm", "operator": OPERATOR},
            {"entry": "limit-change", "value": 150, "unit": "mm[Hg]", "note": "known hypertension", "operator": OPERATOR,
             "rule": "sbp-hi", "old": 160},
            {"entry": "refused", "value": "limit", "unit": "", "note": "anna is nurse here", "operator": "anna", "uid": 1000}):
        add_event(path, second, at, body)
        at += 1000
    add_event(path, second, at, {"alarm": "a-000099", "rule": "dev-offline", "class": "technical", "device": "bp", "priority": "low",
                                 "change": "raised", "state": "active", "signal": "on", "value": None, "limit": None,
                                 "direction": "none", "onset": "2026-11-21T22:21:39.508Z", "text": "* bp: no answer"})
    return path, published, sessions


# ---- FHIR ----

@pytest.fixture(scope="module")
def bundles(log, tmp_path_factory):
    path, _, sessions = log
    files = []
    for i, session in enumerate(sessions[:2]):
        file = tmp_path_factory.mktemp("fhir") / f"{i}.json"
        ctl("audit", "export", session, "--log", path, "--format", "fhir", "--out", file)
        files.append((file, json.loads(file.read_text())))
    return files


BREAKAGES = {
    "missing": (lambda r: r["Observation"].pop("status"), "status"),
    "type": (lambda r: r["Observation"].update(effectiveDateTime="yesterday", effectivePeriod=None), "effective"),
    "code": (lambda r: r["Patient"].update(gender="other people"), "gender"),
    "value set": (lambda r: r["DetectedIssue"].update(severity="terrible"), "severity"),
    "cardinality": (lambda r: r["AuditEvent"].pop("agent"), "agent"),
    "unknown": (lambda r: r["Device"].update(invented=True), "invented"),
}


@pytest.fixture(scope="module")
def findings(bundles, tmp_path_factory):
    """By name of the file: both bundles, and the first one with one mistake each."""
    folder = tmp_path_factory.mktemp("broken")
    files = [file for file, _ in bundles]
    for name, (break_it, _) in BREAKAGES.items():
        bundle = json.loads(files[0].read_text())
        one_of_each = {}
        for e in bundle["entry"]:
            one_of_each.setdefault(e["resource"]["resourceType"], e["resource"])
        break_it(one_of_each)
        bundle["entry"] = [{"fullUrl": "urn:uuid:" + r["id"], "resource": r} for r in one_of_each.values()]
        files.append(folder / name)
        files[-1].write_text(json.dumps(bundle))
    return fhir_findings(files)


@pytest.mark.parametrize("which", ["0.json", "1.json"])
def test_a_bundle_is_what_the_official_schema_and_a_validator_want(findings, which):
    assert findings[which] == []


@pytest.mark.parametrize("what", BREAKAGES)
def test_the_check_would_notice(findings, what):
    """A check that says nothing of a broken bundle would prove nothing."""
    assert any(BREAKAGES[what][1] in finding for finding in findings[what])


def resources(bundle, kind):
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def references(x):
    if isinstance(x, dict):
        yield from ([x["reference"]] if "reference" in x else [])
        for v in x.values():
            yield from references(v)
    elif isinstance(x, list):
        for v in x:
            yield from references(v)


PROFILE = "http://hl7.org/fhir/StructureDefinition/"
# What the profiles of the standard (hl7.org/fhir/R4/observation-vitalsigns.html) ask for: code and unit.
PROFILES = {
    "heartrate": ("8867-4", "/min"), "oxygensat": ("2708-6", "%"), "resprate": ("9279-1", "/min"),
    "bodytemp": ("8310-5", "Cel"), "bodyweight": ("29463-7", "kg"), "bp": ("85354-9", None), "vitalsigns": (None, None),
}


def codes(concept, system="http://loinc.org"):
    return [c["code"] for c in concept["coding"] if c["system"] == system]


def test_observations_keep_to_the_vital_signs_profiles(bundles):
    for _, bundle in bundles:
        seen = collections.Counter()
        for o in resources(bundle, "Observation"):
            if "meta" not in o:
                assert o["category"][0]["coding"][0]["code"] == "survey"  # pain, oxygen: not vital signs of the standard
                continue
            [profile] = o["meta"]["profile"]
            code, unit = PROFILES[profile.removeprefix(PROFILE)]
            seen[profile.removeprefix(PROFILE)] += 1
            assert o["category"][0]["coding"][0] == {
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs",
                "display": "Vital Signs"}
            assert o["subject"] and o["status"] in ("final", "preliminary")
            assert ("effectiveDateTime" in o) != ("effectivePeriod" in o)
            assert code is None or code in codes(o["code"])
            parts = o.get("component", [o])
            for part in parts:
                assert ("valueQuantity" in part) != ("dataAbsentReason" in part), "a value, or why there is none"
                if "valueQuantity" in part:
                    assert part["valueQuantity"]["system"] == UCUM
                    assert part["valueQuantity"]["code"] == (unit or part["valueQuantity"]["unit"])
            if profile.endswith("/bp"):
                assert [codes(p["code"])[0] for p in parts][:2] == ["8480-6", "8462-4"]
                assert "150020" in codes(o["code"], "urn:iso:std:iso:11073:10101")
                assert all(p["valueQuantity"]["code"] == "mm[Hg]" for p in parts if "valueQuantity" in p)
        assert seen["bp"] > 5 and seen["heartrate"] > 5 and seen["oxygensat"] > 5 and seen["bodyweight"] >= 1


def test_entries_that_have_a_code_are_observations(bundles):
    found = {(codes(o["code"])[0], o["valueQuantity"]["value"], o["valueQuantity"]["code"], o["performer"][0]["display"])
             for o in resources(bundles[1][1], "Observation") if "performer" in o}
    assert {("72514-3", 3, "{score}", OPERATOR), ("3151-8", 2, "L/min", OPERATOR), ("29463-7", 70.5, "kg", OPERATOR),
            ("29463-7", 72.5, "kg", "nurse-1")} <= found
    assert not any(value == 40 for _, value, _, _ in found), "millimetres on a line are not the score 0 to 10"


def test_people_alarms_and_references(bundles):
    for _, bundle in bundles:
        urls = [e["fullUrl"] for e in bundle["entry"]]
        assert len(set(urls)) == len(urls) and set(references(bundle["entry"])) <= set(urls)
        assert all(e["fullUrl"] == "urn:uuid:" + e["resource"]["id"] for e in bundle["entry"])
        [patient] = resources(bundle, "Patient")
        assert patient["meta"]["security"][0]["code"] == "PSEUDED" and set(patient) == {"resourceType", "id", "meta", "identifier"}
        assert {d["deviceName"][0]["name"] for d in resources(bundle, "Device")} == {"vitalsd", "bp", "oximeter", "monitor"}
    second = bundles[1][1]
    assert resources(second, "Patient")[0]["identifier"][0]["value"] == PATIENT
    issues = {i["identifier"][0]["value"]: i for i in resources(second, "DetectedIssue")}
    standing = issues["a-000099"]
    assert standing["extension"][0]["valueCode"] == "on" and standing["status"] == "preliminary" and "end" not in \
        standing["identifiedPeriod"]
    assert standing["code"]["coding"][0]["code"] == "196660"
    over = next(i for name, i in issues.items() if name != "a-000099")
    assert over["extension"][0]["valueCode"] == "off" and over["status"] == "final" and over["identifiedPeriod"]["end"]
    assert over["severity"] == "high" and over["mitigation"][0]["author"]["display"] == "nurse O'Neil"


def test_who_did_what_and_why(bundles):
    deeds = resources(bundles[1][1], "AuditEvent")

    def told(e):
        return {d["type"]: d["valueString"] for d in e["entity"][0].get("detail", [])}
    change = next(e for e in deeds if told(e).get("entry") == "limit-change")
    assert told(change) == {"entry": "limit-change", "value": "150", "unit": "mm[Hg]", "note": "known hypertension",
                            "rule": "sbp-hi", "old": "160"}
    assert change["agent"][0]["who"]["display"] == OPERATOR and change["outcome"] == "0"
    refused = next(e for e in deeds if told(e).get("entry") == "refused")
    assert (refused["outcome"], refused["outcomeDesc"], told(refused)["uid"]) == ("4", "anna is nurse here", "1000")
    correction = next(e for e in deeds if told(e).get("corrects") == "1")
    assert correction["action"] == "U" and told(correction)["note"] == "mistyped"
    phase = next(e for e in deeds if told(e).get("reason") == "go on")
    assert (phase["action"], told(phase)["phase"], told(phase)["from"]) == ("U", "baseline", "screening")


# ---- HL7 v2 ----

def messages(path, session):
    text = ctl("audit", "export", session, "--log", path, "--format", "hl7", text=False).decode("utf-8")
    assert "\n" not in text and text.endswith("\r")
    parts = re.split(r"(?<=\r)(?=MSH\|)", text)
    return [hl7.parse(p) for p in parts]


def field(segment, number):
    """The text of a field; "" where it is left out."""
    return str(segment[number]) if len(segment) > number else ""


def plain(text):
    """Without escape sequences (HL7 v2.6, 2.7)."""
    return re.sub(r"\\(?:([FSRTE])|X([0-9A-F]+))\\",
                  lambda m: dict(zip("FSRTE", "|^~&\\")).get(m[1]) or bytes.fromhex(m[2]).decode(), text)


def grammar(parts):
    """The message structure of the standard as a regular expression over segment names."""
    text = ""
    for p in parts:
        inner = grammar(p["children"]) if "children" in p else p["name"] + " "
        most = "" if p["max"] == 0 else p["max"]
        text += f"(?:{inner}){{{p['min']},{most}}}"
    return text


@pytest.mark.parametrize("which", [0, 1])
def test_messages_have_the_structure_of_the_standard(log, which):
    path, _, sessions = log
    d = hl7_definitions()
    structure = re.compile(grammar(d["message"]))
    found = messages(path, sessions[which])
    assert len(found) >= 5  # six minutes
    for message in found:
        names = "".join(str(segment[0]) + " " for segment in message)
        assert structure.fullmatch(names), names[:200]
        for segment in message:
            check_segment(d, segment)


def check_segment(d, segment):
    name = str(segment[0])
    # MSH-1 is the separator itself, which the parser counts, as the standard does.
    fields = d["segments"][name]["fields"]
    assert len(segment) - 1 <= len(fields), name
    for number, rule in enumerate(fields, 1):
        text = field(segment, number)
        where = f"{name}-{number} {rule['desc']}: {text!r}"
        assert text or rule["opt"] != 2 or (name, number) == ("PID", 3), where
        assert len(text) <= rule.get("len", 65536), where
        if name == "MSH" and number <= 2:
            continue
        assert "~" not in text or rule["rep"] != 1, where
        kind = d["types"].get(rule["datatype"])
        components = text.split("^")
        if kind and kind.get("subfields"):
            assert len(components) <= len(kind["subfields"]), where
            for component, part in zip(components, kind["subfields"]):
                assert len(plain(component)) <= part.get("len", 65536), where
        elif rule["datatype"] != "VARIES":
            assert len(components) == 1, where
        if rule["datatype"] == "DTM" and text:
            assert hl7.parse_datetime(text), where
        if (name, number) in {("OBX", 2), ("OBX", 11), ("PV1", 2), ("MSH", 15), ("MSH", 16), ("MSH", 18)} and text:
            assert text in d["tables"][str(rule["table"])]["values"], where


def test_the_check_of_segments_would_notice():
    d = hl7_definitions()
    for wrong in ("OBX|1|NM||1.1.1.1|97|||||||2026", "OBX|1|NM|1^x^MDC|1.1.1.1|97|a^b^c^d^e^f^g^h^i^j|||||R",
                  "OBX|1|QQ|1^x^MDC|1.1.1.1|97||||||R", "OBX|1|NM|1^x^MDC|1.1.1.1|97||||||R|||today"):
        message = hl7.parse("MSH|^~\\&|a|b|||20261121||ORU^R01^ORU_R01|1|P|2.6\r" + wrong + "\r")
        with pytest.raises((AssertionError, ValueError)):
            check_segment(d, message[1])
    assert not re.fullmatch(grammar(d["message"]), "MSH OBX PID ")


def test_the_head_is_that_of_pcd_01(log):
    path, _, sessions = log
    found = messages(path, sessions[0])
    assert len({field(m.segment("MSH"), 10) for m in found}) == len(found), "each message has an id of its own"
    for m in found:
        msh, pid, visit = m.segment("MSH"), m.segment("PID"), m.segment("PV1")
        assert [field(msh, n) for n in (9, 11, 12, 16, 18, 21)] == [
            "ORU^R01^ORU_R01", "P", "2.6", "NE", "UNICODE UTF-8", "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO"]
        assert field(pid, 3) == "P-7^^^north-clinic^PI" and field(visit, 3) == "north-clinic^^chair-1"
        assert field(visit, 19).split("^")[0] == sessions[0]
        assert all(field(o, 4) == "182777000^monitoring of patient^SCT" for o in m.segments("OBR"))


def test_names_are_escaped(log):
    path, _, sessions = log
    pid = messages(path, sessions[1])[0].segment("PID")
    assert "\r" not in str(pid) and len(pid) <= 6, "no delimiter of a name cuts a field"
    assert plain(field(pid, 3).split("^")[0]) == PATIENT


METRICS = {  # codes and units that bedside monitors send (ISO/IEEE 11073-10101)
    "spo2": ("150456^MDC_PULS_OXIM_SAT_O2^MDC", "262688^MDC_DIM_PERCENT^MDC"),
    "pr": ("149530^MDC_PULS_OXIM_PULS_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC"),
    "hr": ("147842^MDC_ECG_HEART_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC"),
    "nibp_sys": ("150021^MDC_PRESS_BLD_NONINV_SYS^MDC", "266016^MDC_DIM_MMHG^MDC"),
    "nibp_dia": ("150022^MDC_PRESS_BLD_NONINV_DIA^MDC", "266016^MDC_DIM_MMHG^MDC"),
    "rr": ("151562^MDC_RESP_RATE^MDC", "264928^MDC_DIM_RESP_PER_MIN^MDC"),
    "temp": ("150344^MDC_TEMP^MDC", "268192^MDC_DIM_DEGC^MDC"),
    "pi": ("150488^MDC_BLD_PERF_INDEX^MDC", "262688^MDC_DIM_PERCENT^MDC"),
}


def test_every_reading_is_there_as_it_was_measured(log):
    path, published, sessions = log
    want, missing = collections.Counter(), collections.Counter()
    for row in json.loads(sql(path, "SELECT device, metric, value, observed_at AS at FROM audit_observation WHERE"
                                    f" session = '{sessions[0]}'", mode="-json")):
        if row["metric"] in METRICS:
            at = re.sub(r"[-:T]", "", row["at"]).replace("Z", "+0000")
            (missing if row["value"] is None else want)[row["device"], METRICS[row["metric"]][0], at, row["value"]] += 1
    got, none = collections.Counter(), collections.Counter()
    for m in messages(path, sessions[0]):
        minutes = {field(o, 7)[:12] for o in m.segments("OBR")}
        assert len(minutes) == 1, "a message is a minute"
        for o in m.segments("OBX"):
            code, value, unit, status = (field(o, n) for n in (3, 5, 6, 11))
            if "^MDC_DEV_" in code:
                assert (value, status) == ("", "X")
                continue
            key = field(o, 18).split("^")[0], code, field(o, 14)
            assert (value == "") == (status == "X") and status in "RX", "no value is never a number"
            assert unit.startswith(dict(METRICS.values())[code] + "^") and unit.endswith("^UCUM")
            assert field(o, 13) == ("APERIODIC" if "NONINV" in code else "")
            if value:
                got[(*key, float(value))] += 1
            else:
                none[(*key, None)] += 1
    assert got == want and none == missing and sum(want.values()) > 300 and sum(missing.values()) > 20


def test_the_containment_stands_before_what_it_contains(log):
    path, _, sessions = log
    for m in messages(path, sessions[0]):
        order = []
        for segment in m:
            if str(segment[0]) == "OBR":
                order, seen = [], set()
            if str(segment[0]) != "OBX":
                continue
            code, place = field(segment, 3).split("^")[0], field(segment, 4)
            parts = place.split(".")
            assert (code, place) not in seen, "OBX-3 and OBX-4 name one thing of a reading"
            seen.add((code, place))
            if "MDC_DEV_" in field(segment, 3):
                order.append(place)
                assert (code == "69965") == (place == "1.0.0.0")
            else:
                assert parts[3] == code
                assert {"1.0.0.0", f"1.{parts[1]}.0.0", f"1.{parts[1]}.1.0"} <= set(order)
            assert re.fullmatch(r"\w+\^vitalsd\^[0-9A-F]{16}\^EUI-64|", field(segment, 18))
        assert order[0] == "1.0.0.0"
    assert field(m.segments("OBX")[0], 18), "the device is named"
