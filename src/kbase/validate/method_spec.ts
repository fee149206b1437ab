import { isObject } from "../envelope.ts";
import { Findings } from "./finding.ts";
import type { KidlFunction, KidlModule, KidlType } from "./kidl.ts";

/** What display.yaml has to describe. */
export interface SpecParts {
  readonly parameters: readonly string[];
  readonly groups: readonly string[];
  /** Groups that may be there several times. */
  readonly repeated: ReadonlySet<string>;
}

const FIELD_TYPES: ReadonlySet<string> = new Set(
  "text textarea textsubdata dynamic_dropdown intslider floatslider checkbox dropdown radio tab file".split(
    " ",
  ),
);

type Fields = Record<string, unknown>;

/** Checks a spec.json by the rules of the NarrativeMethodStore, and what it maps to by those of the SDK. */
export function checkSpec(
  document: unknown,
  file: string,
  kidl: KidlModule | null,
): { found: Findings; parts: SpecParts } {
  const found = new Findings(file);
  const none = { parameters: [], groups: [], repeated: new Set<string>() };
  if (!isObject(document)) {
    found.error("", "must be one JSON object");
    return { found, parts: none };
  }
  for (const key of ["ver", "contact"]) {
    if (typeof document[key] !== "string") found.error(key, "must be there, a text");
  }
  checkCategories(document["categories"], found);
  if (!isObject(document["widgets"])) found.error("widgets", "must be there, an object");
  const output = document["job_id_output_field"];
  if (output !== "docker") found.error("job_id_output_field", 'must be "docker"');
  const parameters = checkParameters(document["parameters"], found);
  const groups = checkGroups(document["parameter-groups"], parameters, found);
  checkBehavior(document["behavior"], { found, parameters, groups: groups.names, kidl });
  return { found, parts: { parameters, groups: groups.names, repeated: groups.repeated } };
}

function checkCategories(categories: unknown, found: Findings): void {
  if (!Array.isArray(categories)) found.error("categories", "must be there, a list");
  else if (!categories.includes("active")) {
    found.warning("categories", 'is without "active", so no Narrative lists the app');
  }
}

function checkParameters(parameters: unknown, found: Findings): string[] {
  if (!Array.isArray(parameters)) {
    found.error("parameters", "must be there, a list; [] for none");
    return [];
  }
  const ids: string[] = [];
  parameters.forEach((parameter, index) => {
    const where = `parameters[${index}]`;
    if (!isObject(parameter)) return found.error(where, "must be an object");
    const { id, optional, field_type: type } = parameter;
    if (typeof id !== "string" || id === "") found.error(`${where}.id`, "must be there, a text");
    else if (ids.includes(id)) found.error(`${where}.id`, `${id} is there twice`);
    else ids.push(id);
    if (typeof optional !== "boolean") found.error(`${where}.optional`, "must be true or false");
    if (typeof type !== "string") found.error(`${where}.field_type`, "must be there, a text");
    else if (!FIELD_TYPES.has(type)) {
      const known = [...FIELD_TYPES].join(", ");
      found.warning(
        `${where}.field_type`,
        `${type} is none of ${known}: KBase takes it, no Narrative shows it`,
      );
    }
    for (const key of ["advanced", "allow_multiple", "disabled"]) {
      if (parameter[key] !== undefined && typeof parameter[key] !== "boolean") {
        found.error(`${where}.${key}`, "must be true or false");
      }
    }
    const defaults = parameter["default_values"];
    if (defaults !== undefined && !Array.isArray(defaults)) {
      found.error(`${where}.default_values`, "must be a list");
    }
    checkOptions(parameter, where, found);
  });
  return ids;
}

/** What each kind of field needs. */
function checkOptions(parameter: Fields, where: string, found: Findings): void {
  const options = (name: string): Fields | null => {
    const value = parameter[name];
    if (isObject(value)) return value;
    if (value !== undefined) found.error(`${where}.${name}`, "must be an object");
    return null;
  };
  const needed = (name: string): Fields => {
    const value = options(name);
    if (value === null && parameter[name] === undefined) {
      found.error(`${where}.${name}`, `must be there for a ${parameter["field_type"]}`);
    }
    return value ?? {};
  };
  const numbers = (fields: Fields, name: string, keys: readonly string[]) => {
    for (const key of keys) {
      if (fields[key] !== undefined && typeof fields[key] !== "number") {
        found.error(`${where}.${name}.${key}`, "must be a number");
      }
    }
  };
  switch (parameter["field_type"]) {
    case "text": {
      const text = options("text_options");
      if (text !== null) checkText(text, `${where}.text_options`, found);
      break;
    }
    case "checkbox": {
      const box = needed("checkbox_options");
      for (const key of ["checked_value", "unchecked_value"]) {
        if (!Number.isInteger(box[key])) {
          found.error(`${where}.checkbox_options.${key}`, "must be an integer");
        }
      }
      break;
    }
    case "dropdown":
      checkChoices(needed("dropdown_options"), ["value", "display"], `${where}.dropdown_options`, found);
      break;
    case "radio":
      checkChoices(needed("radio_options"), ["id", "ui_name"], `${where}.radio_options`, found);
      break;
    case "tab":
      checkChoices(needed("tab_options"), ["id", "ui_name"], `${where}.tab_options`, found);
      break;
    case "intslider":
      numbers(needed("intslider_options"), "intslider_options", ["min", "max", "step"]);
      break;
    case "floatslider":
      numbers(needed("floatslider_options"), "floatslider_options", ["min", "max"]);
      break;
    case "textarea":
      numbers(options("textarea_options") ?? {}, "textarea_options", ["n_rows"]);
      break;
    case "textsubdata":
      if (!isObject(needed("textsubdata_options")["subdata_selection"])) {
        found.error(`${where}.textsubdata_options.subdata_selection`, "must be there, an object");
      }
  }
}

function checkText(options: Fields, where: string, found: Findings): void {
  const { valid_ws_types: types, validate_as: as, regex_constraint: constraints } = options;
  if (types !== undefined && !(Array.isArray(types) && types.every((type) => typeof type === "string"))) {
    found.error(`${where}.valid_ws_types`, "must be a list of types");
  }
  if (as !== undefined && as !== "int" && as !== "float") {
    found.error(`${where}.validate_as`, "must be int or float");
  }
  for (const key of ["min_integer", "max_integer"]) {
    if (key in options) found.warning(`${where}.${key}`, `is ignored: it is called ${key.slice(0, 3)}_int`);
  }
  if (constraints === undefined) return;
  if (!Array.isArray(constraints)) return found.error(`${where}.regex_constraint`, "must be a list");
  constraints.forEach((constraint, index) => {
    const { regex, error_text } = isObject(constraint) ? constraint : {};
    if (typeof regex !== "string" || typeof error_text !== "string") {
      found.error(`${where}.regex_constraint[${index}]`, "must have regex and error_text");
    }
  });
}

function checkChoices(options: Fields, keys: readonly string[], where: string, found: Findings): void {
  const choices = options["options"];
  if (!Array.isArray(choices)) return found.error(`${where}.options`, "must be there, a list");
  choices.forEach((choice, index) => {
    for (const key of keys) {
      if (!isObject(choice) || choice[key] === undefined) {
        found.error(`${where}.options[${index}].${key}`, "must be there");
      }
    }
  });
}

function checkGroups(
  groups: unknown,
  parameters: readonly string[],
  found: Findings,
): { names: string[]; repeated: Set<string> } {
  const names: string[] = [];
  const repeated = new Set<string>();
  if (groups === undefined) return { names, repeated };
  if (!Array.isArray(groups)) {
    found.error("parameter-groups", "must be a list");
    return { names, repeated };
  }
  groups.forEach((group, index) => {
    const where = `parameter-groups[${index}]`;
    if (!isObject(group)) return found.error(where, "must be an object");
    const { id, parameters: inside, allow_multiple, mapping } = group;
    if (typeof id !== "string" || id === "") return found.error(`${where}.id`, "must be there, a text");
    if (parameters.includes(id) || names.includes(id)) {
      found.error(`${where}.id`, `${id} is also called so elsewhere`);
    }
    names.push(id);
    if (allow_multiple) repeated.add(id);
    else if (mapping !== undefined) found.error(`${where}.mapping`, "is only for groups with allow_multiple");
    if (!Array.isArray(inside)) return found.error(`${where}.parameters`, "must be there, a list");
    for (const name of inside) {
      if (!parameters.includes(String(name))) found.error(`${where}.parameters`, `${name} is no parameter`);
    }
  });
  return { names, repeated };
}

interface MappingContext {
  readonly found: Findings;
  readonly parameters: readonly string[];
  readonly groups: readonly string[];
  readonly kidl: KidlModule | null;
}

function checkBehavior(behavior: unknown, context: MappingContext): void {
  const { found } = context;
  if (!isObject(behavior)) return found.error("behavior", "must be there, an object");
  const { none, "service-mapping": service } = behavior;
  if (isObject(none)) {
    return void checkOutputs(none["output_mapping"], "behavior.none.output_mapping", context);
  }
  if (!isObject(service)) return found.error("behavior", "must have service-mapping or none");
  const where = "behavior.service-mapping";
  const { url, name, method, resource_estimator_module: estimator, resource_estimator_method: estimate } =
    service;
  if (url !== "") found.error(`${where}.url`, "must be an empty text: the execution engine runs the method");
  if (typeof name !== "string" || name === "") {
    found.error(`${where}.name`, "must be there, the module's name");
  }
  if (typeof method !== "string" || method === "") {
    found.error(`${where}.method`, "must be there, the method's name");
  }
  if ((estimator === undefined) !== (estimate === undefined)) {
    found.error(where, "must have both of resource_estimator_module and resource_estimator_method, or none");
  }
  const funcdef = checkMethod(service, context, where);
  const inputs = checkInputs(service["input_mapping"], `${where}.input_mapping`, context);
  checkOutputs(service["output_mapping"], `${where}.output_mapping`, context);
  if (funcdef !== null && context.kidl !== null) checkTargets(inputs, funcdef, context.kidl, context);
}

function checkMethod(
  { name, method }: Fields,
  { kidl, found }: MappingContext,
  where: string,
): KidlFunction | null {
  if (kidl === null || typeof name !== "string" || typeof method !== "string") return null;
  if (name !== kidl.name) {
    found.error(
      `${where}.name`,
      `must be ${kidl.name}, as the module is called: else no job of it can be submitted`,
    );
  }
  const funcdef = kidl.functions.find((one) => one.name === method) ?? null;
  if (funcdef === null) found.error(`${where}.method`, `${kidl.name}.spec has no method ${method}`);
  return funcdef;
}

const SYSTEM_VARIABLES: ReadonlySet<string> = new Set(
  ["workspace", "workspace_id", "user_id", "timestamp_epoch_ms", "timestamp_epoch_sec"],
);

const SOURCES = [
  "input_parameter",
  "narrative_system_variable",
  "constant_value",
  "generated_value",
] as const;

const INPUT_KEYS: ReadonlySet<string> = new Set([
  ...SOURCES,
  "target_argument_position",
  "target_property",
  "target_type_transform",
]);

const OUTPUT_KEYS: ReadonlySet<string> = new Set([
  "input_parameter",
  "narrative_system_variable",
  "constant_value",
  "service_method_output_path",
  "target_property",
  "target_type_transform",
]);

const TRANSFORMS = /^(none|string|int|ref|unresolved-ref|putative-ref|resolved-ref|upa|list<[\w<>-]+>)$/i;

function checkInputs(
  mapping: unknown,
  where: string,
  context: MappingContext,
): { item: Fields; where: string }[] {
  const { found, parameters, groups } = context;
  const items = itemsOf(mapping, where, INPUT_KEYS, found);
  const named = [...parameters, ...groups];
  const used = new Set<string>();
  for (const { item, where: at } of items) {
    checkSource(item, at, named, found);
    if (typeof item["input_parameter"] === "string") used.add(item["input_parameter"]);
    const generated = item["generated_value"];
    if (generated !== undefined && !isObject(generated)) {
      found.error(`${at}.generated_value`, "must be an object");
    }
    const transform = item["target_type_transform"];
    if (transform !== undefined && !(typeof transform === "string" && TRANSFORMS.test(transform))) {
      found.error(
        `${at}.target_type_transform`,
        `${transform} is no transformation that the Narrative knows`,
      );
    }
  }
  if (items.length === 0) return items;
  for (const name of parameters) {
    if (!used.has(name) && groups.length === 0) {
      found.warning(where, `passes the parameter ${name} to nothing`);
    }
  }
  return items;
}

function checkSource(item: Fields, where: string, named: readonly string[], found: Findings): void {
  const { input_parameter: input, narrative_system_variable: variable } = item;
  if (input !== undefined && !named.includes(String(input))) {
    found.error(`${where}.input_parameter`, `${input} is not declared`);
  }
  if (variable !== undefined && !SYSTEM_VARIABLES.has(String(variable))) {
    found.error(`${where}.narrative_system_variable`, `${variable} is unknown, and so would be null`);
  }
}

function checkOutputs(mapping: unknown, where: string, { found, parameters }: MappingContext): void {
  for (const { item, where: at } of itemsOf(mapping, where, OUTPUT_KEYS, found)) {
    checkSource(item, at, parameters, found);
    const path = item["service_method_output_path"];
    if (path !== undefined && !Array.isArray(path)) {
      found.error(`${at}.service_method_output_path`, "must be a list");
    }
  }
}

function itemsOf(
  mapping: unknown,
  where: string,
  keys: ReadonlySet<string>,
  found: Findings,
): { item: Fields; where: string }[] {
  if (mapping === undefined) return [];
  if (!Array.isArray(mapping)) {
    found.error(where, "must be a list");
    return [];
  }
  return mapping.flatMap((item, index) => {
    const at = `${where}[${index}]`;
    if (!isObject(item)) {
      found.error(at, "must be an object");
      return [];
    }
    for (const key of Object.keys(item)) {
      if (!keys.has(key)) found.error(`${at}.${key}`, "is not a known key");
    }
    return [{ item, where: at }];
  });
}

/** Every argument of the method is filled, and a property goes into something that has properties. */
function checkTargets(
  items: readonly { item: Fields; where: string }[],
  funcdef: KidlFunction,
  kidl: KidlModule,
  { found }: MappingContext,
): void {
  const filled = new Set<number>();
  for (const { item, where } of items) {
    const position = item["target_argument_position"] ?? 0;
    const type = typeof position === "number" ? funcdef.parameters[position] : undefined;
    if (type === undefined) {
      found.error(
        `${where}.target_argument_position`,
        `${funcdef.name} has ${funcdef.parameters.length} argument(s)`,
      );
      continue;
    }
    filled.add(position as number);
    const property = item["target_property"];
    if (typeof property === "string") checkProperty(property, resolved(type, kidl), where, found);
  }
  funcdef.parameters.forEach((_, position) => {
    if (!filled.has(position)) {
      found.error(
        "behavior.service-mapping.input_mapping",
        `fills no argument ${position} of ${funcdef.name}`,
      );
    }
  });
}

function checkProperty(property: string, type: KidlType, where: string, found: Findings): void {
  const at = `${where}.target_property`;
  if (
    type.kind === "list" || type.kind === "tuple" ||
    (type.kind === "scalar" && type.name !== "UnspecifiedObject")
  ) {
    found.error(
      at,
      `the argument is a ${type.kind === "scalar" ? type.name : type.kind}, which has no properties`,
    );
  }
  const [first] = property.split("/");
  if (type.kind === "structure" && !type.fields.includes(first!)) {
    found.warning(at, `${first} is no field of the argument's structure`);
  }
}

function resolved(type: KidlType, kidl: KidlModule): KidlType {
  let at = type;
  for (let step = 0; at.kind === "named" && step < 50; step++) {
    const next = kidl.types.get(at.name);
    if (next === undefined) return { kind: "scalar", name: "UnspecifiedObject" };
    at = next;
  }
  return at;
}
