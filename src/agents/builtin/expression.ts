/** Arithmetic from strangers: parsed, held against a list of what is allowed, then evaluated. */

// mathjs in one file: it loads in a third of the time of its thousand modules, in half the memory.
import bundle from "mathjs/lib/browser/math.js";
import type * as Mathjs from "mathjs";

/** A number, a truth value, or a complex number. */
export type CalculatedValue = number | boolean | { re: number; im: number };

/** What an expression came to. */
export interface Calculated {
  /** For people: at most 15 digits where the rest is noise of binary fractions, with its unit. */
  output: string;
  /** The value as it was computed; with a unit, the number in front of it. */
  result: CalculatedValue;
  /** The unit of the result, as `km / h`. */
  unit?: string;
}

/** The kinds of node of mathjs's parser that an expression may have. */
interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly op?: string;
  readonly fn?: string | Node;
  readonly args?: readonly Node[];
  readonly items?: readonly Node[];
  readonly params?: readonly Node[];
  readonly content?: Node;
}

const { all, create } = bundle as typeof Mathjs;
const math = create(all);
math.createUnit({
  mph: { definition: "1 mi/h" },
  kph: { definition: "1 km/h" },
  knot: { definition: "1852 m/h", aliases: ["knots"] },
});

// No function is here that makes strings or matrices, draws lots, takes another function, or needs
// memory that grows with its argument; what needs much time is ended with the thread.
const FUNCTIONS: ReadonlySet<string> = new Set([
  ..."abs add cbrt ceil cube divide exp expm1 fix floor gcd hypot lcm log log10 log1p".split(" "),
  ..."log2 mod multiply nthRoot pow round sign sqrt square subtract to".split(" "),
  ...["", "a"].flatMap((arc) =>
    ["", "h"].flatMap((hyperbolic) =>
      ["sin", "cos", "tan", "sec", "csc", "cot"].map((name) => arc + name + hyperbolic)
    )
  ),
  ..."combinations permutations factorial gamma lgamma erf arg conj im re".split(" "),
  ..."max mean median min prod std sum variance".split(" "),
]);

/** These take their numbers as a list, too: `mean([1, 2, 3])`. */
const LIST_FUNCTIONS = new Set(["max", "mean", "median", "min", "prod", "std", "sum", "variance"]);
const MAX_LIST_LENGTH = 100;

const OPERATORS: ReadonlySet<string> = new Set([
  ..."add subtract multiply divide pow mod unaryMinus unaryPlus factorial to".split(" "),
  ..."equal unequal smaller smallerEq larger largerEq and or xor not".split(" "),
  ..."bitAnd bitOr bitXor bitNot leftShift rightArithShift rightLogShift".split(" "),
]);

const CONSTANTS: ReadonlySet<string> = new Set(
  "pi tau e phi i LN2 LN10 LOG2E LOG10E SQRT2 SQRT1_2".split(" "),
);

/** Units that mathjs hides behind its functions of the same name. */
const HIDDEN_UNITS: ReadonlyMap<string, string> = new Map([["min", "minute"], ["sec", "second"]]);

/** What is refused as a whole: its name, and the sign by which it is found. */
const REFUSED: ReadonlyMap<string, readonly [name: string, sign: RegExp]> = new Map([
  ["AccessorNode", ["access to parts", /[[.]/]],
  ["ArrayNode", ["a list outside of functions such as mean", /\[/]],
  ["AssignmentNode", ["assignment", /=/]],
  ["BlockNode", ["more than one expression", /[;\n]/]],
  ["ConditionalNode", ["a condition", /\?/]],
  ["FunctionAssignmentNode", ["the definition of a function", /=/]],
  ["ObjectNode", ["an object", /\{/]],
  ["RangeNode", ["a range", /:/]],
]);

/**
 * Evaluates one expression.
 *
 * @throws {Error} With a message that says what is wrong, and at which character if it is known.
 */
export function calculate(expression: string): Calculated {
  const tree = parse(expression);
  check(tree as Node, expression);
  return present(evaluate(tree));
}

function parse(expression: string): Mathjs.MathNode {
  try {
    return math.parse(expression);
  } catch (thrown) {
    throw new Error(reasonOf(thrown), { cause: thrown });
  }
}

function evaluate(tree: Mathjs.MathNode): unknown {
  const plain = tree.transform((node, path) => {
    const { type, name } = node as Node;
    const unit = type === "SymbolNode" && path !== "fn" ? HIDDEN_UNITS.get(name!) : undefined;
    return unit === undefined ? node : new math.SymbolNode(unit);
  });
  try {
    return plain.evaluate(new Map());
  } catch (thrown) {
    throw new Error(reasonOf(thrown), { cause: thrown });
  }
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof RangeError) return "it is nested too deeply";
  if (!(thrown instanceof Error)) return String(thrown);
  return thrown.message
    .replace(/ \(char (\d+)\)$/, " at character $1")
    .replace(/^Unexpected type of argument in function (\w+).*, actual: ([^,]+),.*$/s, "$1 of a $2")
    .replace(/^(\w+) of a (.+)$/, "$1 is not defined for a value of type $2");
}

/** Throws unless every node of the tree is of a kind, and has a name, that is allowed. */
function check(node: Node, expression: string): void {
  const { type, name = "", op = "", fn, value, args = [] } = node;
  switch (type) {
    case "ConstantNode":
      if (typeof value === "number" || typeof value === "boolean") return;
      throw new Error(`${quoteAt(String(value), expression)} is no number`);
    case "SymbolNode":
      if (CONSTANTS.has(name) || isUnit(name)) return;
      throw new Error(`${quoteAt(name, expression)} is no unit or constant that is known`);
    case "ParenthesisNode":
      return check(node.content!, expression);
    case "RelationalNode":
      return node.params!.forEach((one) => check(one, expression));
    case "OperatorNode":
      if (!OPERATORS.has(fn as string)) {
        throw new Error(`${quoteAt(op, expression)} is no operator that is known`);
      }
      return args.forEach((one) => check(one, expression));
    case "FunctionNode":
      return checkCall(node, expression);
    default: {
      const [what, sign] = REFUSED.get(type) ?? [type, /^/];
      throw new Error(`${what}${at(expression.search(sign))} is not supported`);
    }
  }
}

function checkCall({ fn, args = [] }: Node, expression: string): void {
  const { type, name = "" } = fn as Node;
  if (type !== "SymbolNode" || !FUNCTIONS.has(name)) {
    throw new Error(`${quoteAt(name, expression)} is no function that is known`);
  }
  const list = args.length === 1 && args[0].type === "ArrayNode" && LIST_FUNCTIONS.has(name)
    ? args[0].items!
    : args;
  if (list.length > MAX_LIST_LENGTH) {
    throw new Error(`${name} takes ${MAX_LIST_LENGTH} values at most, not ${list.length}`);
  }
  for (const one of list) check(one, expression);
}

/** `"apples" at character 3` */
function quoteAt(part: string, expression: string): string {
  const escaped = part.replaceAll(/[^\w\s]/g, "\\$&");
  const word = /^\w+$/.test(part) ? `(?<!\\w)${escaped}(?!\\w)` : escaped;
  return `${JSON.stringify(part)}${at(expression.search(new RegExp(word)))}`;
}

function at(index: number): string {
  return index < 0 ? "" : ` at character ${index + 1}`;
}

function isUnit(name: string): boolean {
  if (HIDDEN_UNITS.has(name)) return true;
  const constants = math as unknown as Record<string, unknown>;
  if (Object.hasOwn(constants, name)) return math.isUnit(constants[name]);
  return math.Unit.isValuelessUnit(name);
}

function present(value: unknown): Calculated {
  if (typeof value === "boolean") return { output: String(value), result: value };
  if (typeof value === "number") {
    const result = finite(value);
    return { output: formatNumber(result), result };
  }
  if (math.isComplex(value)) return presentComplex(value.re, value.im);
  if (math.isUnit(value)) return presentUnit(value);
  throw new Error("it does not come to a number");
}

function presentUnit(value: Mathjs.Unit): Calculated {
  // In the prefix that suits the number best, unless `to` has named one.
  const [, digits, unit] = /^(\S+) (.+)$/s.exec(value.format({})) ?? [];
  if (digits === undefined || Number.isNaN(Number(digits))) {
    throw new Error("it does not come to a number with a unit");
  }
  const result = finite(Number(digits));
  return { output: `${formatNumber(result)} ${unit}`, result, unit };
}

function presentComplex(re: number, im: number): Calculated {
  // What is 10⁻¹⁵ of the other part is what rounding has left of a zero.
  if (Math.abs(im) <= Math.abs(re) * 1e-15) return present(re);
  const real = Math.abs(re) <= Math.abs(im) * 1e-15 ? 0 : re;
  const result = { re: finite(real), im: finite(im) };
  const imaginary = `${Math.abs(im) === 1 ? "" : formatNumber(Math.abs(im))}i`;
  const sign = im < 0 ? "-" : "+";
  const output = real === 0
    ? `${im < 0 ? "-" : ""}${imaginary}`
    : `${formatNumber(real)} ${sign} ${imaginary}`;
  return { output, result };
}

function finite(value: number): number {
  if (Number.isNaN(value)) throw new Error("it has no value");
  if (!Number.isFinite(value)) throw new Error("its value is infinite or above 1.8e308");
  return value === 0 ? 0 : value;
}

// A double has 15.95 digits. When 15 of them end in two zeros, what follows is noise of binary
// fractions: 0.1 + 0.2 is shown as 0.3, and 1/3 with all its digits.
const SURE_DIGITS = 15;
const NOISE_ZEROS = 2;

/** A number for people: all its digits, less those that are noise. */
export function formatNumber(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  const rounded = Number(value.toPrecision(SURE_DIGITS));
  const digits = rounded.toExponential().replace(/e.*$/, "").replaceAll(/\D/g, "").length;
  const noisy = digits <= SURE_DIGITS - NOISE_ZEROS && Number.isFinite(rounded);
  const shown = noisy ? rounded : value;
  // Above 2⁵³ not every integer is a double: digits that are written out would be made up.
  return Math.abs(shown) > 2 ** 53 ? shown.toExponential() : String(shown);
}
