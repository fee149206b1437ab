import type { z } from "zod";
import { type FieldError, GlassboxError } from "./errors.ts";

const FIELDS_MAX = 20;

/** `input.args[2]` from a zod path. */
export function fieldPath(root: string, path: readonly PropertyKey[]): string {
  let text = root;
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(String(part))) {
      text += text === "" ? String(part) : `.${String(part)}`;
    } else text += `[${JSON.stringify(String(part))}]`;
  }
  return text === "" ? "(the whole document)" : text;
}

/** One entry per bad field, at most 20; the last then says how many more there are. */
export function fieldErrors(root: string, error: z.ZodError): FieldError[] {
  const fields: FieldError[] = [];
  for (const issue of error.issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        fields.push({ field: fieldPath(root, [...issue.path, key]), message: "is not a known field" });
      }
    } else {
      fields.push({ field: fieldPath(root, issue.path), message: lowerFirst(issue.message) });
    }
  }
  if (fields.length <= FIELDS_MAX) return fields;
  const more = fields.length - FIELDS_MAX + 1;
  return [...fields.slice(0, FIELDS_MAX - 1), { field: root, message: `has ${more} more bad fields` }];
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

/** Parses `value` or throws `invalid_input` with every bad field named under `root`. */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
  what: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = fieldErrors(root, parsed.error);
  const text = fields.map((field) => `${field.field}: ${field.message}`).join("; ");
  throw new GlassboxError("invalid_input", `Cannot accept ${what}: ${text}`, { fields });
}
