/** What the calculator makes of expressions: those of use, those that are wrong, the hostile ones. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { calculate, type Calculated, formatNumber } from "../../src/agents/builtin/expression.ts";
import { anyText } from "../support/any_text.ts";

const RIGHT: [expression: string, output: string][] = [
  ["2^10 + sqrt(2)", "1025.414213562373"],
  ["0.1 + 0.2", "0.3"],
  ["1/3", "0.3333333333333333"],
  ["-2^2", "-4"],
  ["-0", "0"],
  ["7!", "5040"],
  ["170!", "7.257415615308e+306"],
  ["10^15 + 1", "1000000000000001"],
  ["2^53", "9007199254740992"],
  ["2^64", "1.8446744073709552e+19"],
  ["1e-20", "1e-20"],
  ["8 mod 3", "2"],
  ["0x1F + 0b11", "34"],
  ["2(3)", "6"],
  ["2 pi", "6.283185307179586"],
  ["10%", "0.1"],
  ["50 + 10%", "55"],
  ["5 % 3", "2"],
  ["sin(30 deg)", "0.5"],
  ["atan(1) * 4 - pi", "0"],
  ["log(8, 2)", "3"],
  ["log10(1000) + log2(8) + log(e)", "7"],
  ["round(2.567, 1)", "2.6"],
  ["nthRoot(27, 3)", "3"],
  ["max(1, 3, 2)", "3"],
  ["mean([1, 2, 3])", "2"],
  ["median(1, 2, 9) + std(1, 2, 3) + variance(1, 2, 3)", "4"],
  ["combinations(5, 2)", "10"],
  ["gcd(12, 18) + lcm(4, 6)", "18"],
  ["3 > 2", "true"],
  ["1 m == 100 cm", "true"],
  ["1 < 2 < 2", "false"],
  ["6 & 3 | 8", "10"],
  ["sqrt(-4)", "2i"],
  ["(1 + 2i) * (3 - i)", "5 + 5i"],
  ["exp(i * pi)", "-1"],
  ["i", "i"],
  ["3 inch to cm", "7.62 cm"],
  ["3 inch in cm", "7.62 cm"],
  ["5 km/h * 2 h", "10 km"],
  ["20 celsius to fahrenheit", "68 fahrenheit"],
  ["90 deg to rad", "1.5707963267948966 rad"],
  ["60 mph to km/h", "96.56064 km / h"],
  ["10 knots to km/h", "18.52 km / h"],
  ["1 h + 30 min to s", "5400 s"],
  ["30 sec to min", "0.5 minute"],
  ["min(3 min, 100 sec) to s", "100 s"],
  ["sqrt(4 m^2)", "2 m"],
  ["4 m / 2 m", "2"],
  ["1 GB to MB", "1000 MB"],
  ["speedOfLight to km/s", "299792.458 km / s"],
  ["gravity * 70 kg", "686.4655 N"],
];

for (const [expression, output] of RIGHT) {
  Deno.test(`${expression} is ${output}`, () => {
    assertEquals(calculate(expression).output, output);
  });
}

Deno.test("the value is kept as it was computed, apart from its unit", () => {
  assertEquals(calculate("0.1 + 0.2"), { output: "0.3", result: 0.30000000000000004 });
  assertEquals(calculate("3 inch to cm"), {
    output: "7.62 cm",
    result: 7.619999999999999,
    unit: "cm",
  });
  assertEquals(calculate("2i"), { output: "2i", result: { re: 0, im: 2 } });
  assertEquals(calculate("3 > 2"), { output: "true", result: true });
});

const WRONG: [expression: string, reason: string][] = [
  ["2 +", "Unexpected end of expression at character 4"],
  ["(1 + 2", "Parenthesis ) expected at character 7"],
  ["1,000", "Unexpected operator , at character 2"],
  ["6 apples", '"apples" at character 3 is no unit or constant that is known'],
  ["10 USD to EUR", '"USD" at character 4'],
  ["ln(3)", '"ln" at character 1 is no function that is known'],
  ["5 m + 3 s", "Units do not match"],
  ["5 m to s", "Units do not match"],
  ["exp(1 m)", "exp is not defined for a value of type Unit"],
  ["cos(1, 2)", "Too many arguments in function cos"],
  ["mean([])", "empty array"],
  ["1/0", "infinite or above 1.8e308"],
  ["171!", "infinite or above 1.8e308"],
  ["0/0", "it has no value"],
  ["cm", "it does not come to a number with a unit"],
  ["sqrt", '"sqrt" at character 1 is no unit or constant'],
  ["(".repeat(490) + "1" + ")".repeat(490), "nested too deeply"],
];

for (const [expression, reason] of WRONG) {
  Deno.test(`${expression.slice(0, 20)} is wrong: ${reason}`, () => {
    assertStringIncludes(assertThrows(() => calculate(expression), Error).message, reason);
  });
}

const HOSTILE = [
  // Ways into mathjs itself.
  "import({ pi: 3 }, { override: true })",
  'createUnit("pwned")',
  'evaluate("1")',
  'parse("1")',
  'compile("1")',
  "parser()",
  'simplify("x")',
  'derivative("x^2", "x")',
  'config({ number: "BigNumber" })',
  'reviver("a", "b")',
  'help("sin")',
  // Ways out to JavaScript.
  'cos.constructor("return 1")()',
  'cos["constructor"]',
  '[].map.constructor("return 1")()',
  '"a".constructor',
  "constructor",
  "toString",
  "valueOf()",
  "__proto__",
  "hasOwnProperty(1)",
  "{}.constructor",
  '{ "__proto__": 1 }',
  "f(x) = x",
  "f(x) = f(x); f(1)",
  "a = 1",
  "pi = 3",
  "a.b = 1",
  "pi.toString()",
  "(f(x) = x)(1)",
  "(1)[1]",
  // Strings, matrices, ranges and chance.
  '"text"',
  "'text'",
  'concat("a", "b")',
  "format(1, 1000000000)",
  "bin(5)",
  "1:1e9",
  "max(1:1e9)",
  "[1, 2; 3, 4]",
  "[1, 2]",
  "max([[1, 2], [3]])",
  "sum([1, [2]])",
  "zeros(100000, 100000)",
  "ones(1e9)",
  "identity(100000)",
  "range(0, 1e9)",
  "random()",
  "map([1, 2], sqrt)",
  "sqrt([1, 2])",
  "2'",
  "2 .* 3",
  // Numbers without a bound, and functions that need memory as their argument grows.
  "bignumber(2) ^ 1000000000",
  "bigint(2) ^ 1000000000",
  "fraction(1, 3) ^ 100000000",
  "stirlingS2(100000, 5000)",
  "bellNumbers(100000)",
  "composition(1e9, 1e8)",
  'unit("1e9 m")',
  "unit(5)",
  // Others.
  "1; 2",
  "1\n2",
  "true ? 1 : 2",
  "null",
  "undefined",
  "end",
  "Infinity",
  "NaN",
  "max(" + Array(101).fill("1").join(",") + ")",
];

for (const expression of HOSTILE) {
  Deno.test(`${JSON.stringify(expression.slice(0, 40))} is refused`, () => {
    assertThrows(() => calculate(expression), Error);
  });
}

Deno.test("no expression changes what a later one sees", () => {
  for (const expression of [...HOSTILE, ...WRONG.map(([wrong]) => wrong)]) {
    try {
      calculate(expression);
    } catch { /* as it should */ }
  }

  assertEquals(calculate("pi + 1 m / 1 m").output, "4.141592653589793");
});

// Words and signs of the language, in any order: far more of these parse than of random text.
const token = fc.oneof(
  fc.constantFrom(..."+ - * / ^ % ! ( ) [ ] , . = : ; < > & | ~ ' \" { } ? to in mod".split(" ")),
  fc.constantFrom(..."sqrt sin max mean round log abs pi e i m cm kg min sec deg km/h".split(" ")),
  fc.constantFrom(..."constructor __proto__ import f(x) 1e308 0x 1:5 apples".split(" ")),
  fc.integer({ min: -9, max: 99 }).map(String),
);

Deno.test("an expression of any tokens comes to something or is refused, and never crashes", () => {
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
      isSound(tokens.join(" "));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("any text comes to something or is refused, and never crashes", () => {
  fc.assert(
    fc.property(anyText({ maxLength: 200 }), isSound),
    { numRuns: 1000 },
  );
});

Deno.test("an integer that a double holds exactly is shown with all its digits", () => {
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => {
    assertEquals(formatNumber(value), String(value));
  }));
});

Deno.test("a number is shown so that it reads back to 15 digits", () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const shown = Number(formatNumber(value));
    assert(Math.abs(shown - value) <= Math.abs(value) * 1e-14, `${value} is shown as ${shown}`);
  }));
});

/** Fails unless the expression comes to data that JSON can carry, or is refused with a reason. */
function isSound(expression: string): void {
  let calculated: Calculated;
  try {
    calculated = calculate(expression);
  } catch (thrown) {
    assert(thrown instanceof Error && thrown.message !== "");
    return;
  }
  assertEquals(JSON.parse(JSON.stringify(calculated)), calculated);
  assertEquals(typeof calculated.output, "string");
}
