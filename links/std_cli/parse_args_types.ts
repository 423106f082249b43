/**
 * Types of `parseArgs`: the options, and what they make of the result. Names with dots are read as
 * nested tables, but have no types of their own here.
 *
 * @module
 */

/** Names of flags, as a union of literals. */
export type Names = string | undefined;

/** Other names of flags, by name. */
export type Aliases = Partial<Record<string, string | readonly string[]>>;

/** The options of `parseArgs`. */
export interface ParseOptions<
  TBooleans extends boolean | Names = boolean | Names,
  TStrings extends Names = Names,
  TCollectable extends Names = Names,
  TNegatable extends Names = Names,
  TDefaults extends Record<string, unknown> | undefined = Record<string, unknown> | undefined,
  TAliases extends Aliases | undefined = Aliases | undefined,
  TDoubleDash extends boolean | undefined = boolean | undefined,
> {
  /**
   * Whether everything after `--` is in the result's `"--"` instead of in `_`.
   *
   * @default {false}
   */
  "--"?: TDoubleDash;

  /** Other names of a flag; the result has the value under each of them. */
  alias?: TAliases;

  /**
   * Flags that take no value, false where they are not given. `true` makes booleans of all flags of
   * the form `--name`.
   *
   * @default {false}
   */
  boolean?: TBooleans | readonly Extract<TBooleans, string>[];

  /** Values of flags that are not given. */
  default?: TDefaults;

  /**
   * Whether everything after the first argument that is not a flag is in `_`, flags included.
   *
   * @default {false}
   */
  stopEarly?: boolean;

  /** Flags whose values stay strings, numbers included; without a value they are `""`. */
  string?: TStrings | readonly Extract<TStrings, string>[];

  /**
   * Flags that may be given several times: their values are a list. Of any other flag given several
   * times the last value counts.
   */
  collect?: TCollectable | readonly Extract<TCollectable, string>[];

  /** Flags that `--no-name` sets to false. */
  negatable?: TNegatable | readonly Extract<TNegatable, string>[];

  /**
   * Called with each argument that the options do not name, and with its name and value where it is
   * a flag; `false` keeps it out of the result.
   */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What `parseArgs` returns: the flags `TArgs` and the arguments that are no flags. */
export type Args<
  // deno-lint-ignore no-explicit-any -- the real package's signature, for calls without options
  TArgs extends Record<string, unknown> = Record<string, any>,
  TDoubleDash extends boolean | undefined = undefined,
> =
  & { [Name in keyof TArgs]: TArgs[Name] }
  & {
    /** The arguments that are no flags, nor values of flags. */
    _: (string | number)[];
  }
  & (boolean extends TDoubleDash ? { "--"?: string[] }
    : true extends TDoubleDash ? { "--": string[] }
    : Record<never, never>);

/** The flags that the options declare; without a declaration, any flag of any type. */
export type Values<
  TBooleans extends boolean | Names,
  TStrings extends Names,
  TCollectable extends Names,
  TNegatable extends Names,
  TDefaults extends Record<string, unknown> | undefined,
  TAliases extends Aliases | undefined,
> = IsDeclared<TBooleans, TStrings, TCollectable> extends true ?
    & Record<string, unknown>
    & WithAliases<
      WithDefaults<Declared<TBooleans, TStrings, TCollectable, TNegatable>, TDefaults>,
      TAliases
    >
  // deno-lint-ignore no-explicit-any -- the real package's signature, for calls without options
  : Record<string, any>;

type IsDeclared<TBooleans, TStrings, TCollectable> = undefined extends
  (false extends TBooleans ? undefined : TBooleans)
  ? undefined extends TStrings ? undefined extends TCollectable ? false : true : true
  : true;

type Declared<TBooleans, TStrings, TCollectable, TNegatable> =
  & {
    [Name in Extract<TBooleans | TCollectable, string>]: Value<
      Name,
      TBooleans,
      TStrings,
      TCollectable,
      TNegatable
    >;
  }
  & {
    [Name in Exclude<Extract<TStrings, string>, TBooleans | TCollectable>]?: Value<
      Name,
      TBooleans,
      TStrings,
      TCollectable,
      TNegatable
    >;
  };

type Value<Name, TBooleans, TStrings, TCollectable, TNegatable> =
  | (Name extends TCollectable ? Item<Name, TBooleans, TStrings>[]
    : Item<Name, TBooleans, TStrings>)
  | (Name extends TNegatable ? false : never);

type Item<Name, TBooleans, TStrings> = Name extends TStrings ? string
  : Name extends TBooleans ? boolean
  : unknown;

type WithDefaults<TFlags, TDefaults> = [TDefaults] extends [undefined] ? TFlags
  :
    & Omit<TFlags, keyof TDefaults>
    & {
      [Name in keyof TDefaults]: Name extends keyof TFlags
        ? TDefaults[Name] | NonNullable<TFlags[Name]>
        : unknown;
    };

type WithAliases<TFlags, TAliases> = {
  [Name in keyof TFlags as Name | OtherNames<Name, TAliases>]: TFlags[Name];
};

type OtherNames<Name, TAliases> = Name extends keyof TAliases
  ? TAliases[Name] extends readonly (infer Other extends string)[] ? Other
  : TAliases[Name] extends string ? TAliases[Name]
  : never
  : never;
