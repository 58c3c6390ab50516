/** What somebody signs up with: an address, or where the server asks for none a user name and a password. */
export interface SignUp {
  email?: string;
  user?: string;
  password?: string;
  /** For people to see. */
  name?: string;
  /** Secret of an invitation. */
  invite?: string;
  /** Where the page behind the link of the mail leads back to. */
  redirectTo?: string;
}

export type CodePurpose = 'login' | 'reset' | 'verify';

/** What a code from a mail is redeemed with. */
export interface CodeRedemption {
  email: string;
  code: string;
  /** `verify`, the default, for signUp and upgrade. */
  purpose?: CodePurpose;
  /** The new one: `reset` needs it, `verify` may set it. */
  password?: string;
}

/** The fields of a sign-up as the server calls them. */
export function fieldsOf({ redirectTo, ...rest }: SignUp): Record<string, unknown> {
  return { ...rest, redirect_to: redirectTo };
}
