/**
 * What opens one registry. Looked up by the CLI with the user's rights and handed to the daemon in
 * the request; never written to disk, logged or put into an error.
 */
export type RegistryCredentials =
  & {
    /** The domain of the references that they are for, and nothing else is given them. */
    readonly domain: string;
  }
  & (
    | { readonly kind: "password"; readonly username: string; readonly password: string }
    /** An OAuth2 refresh token, for which the token server gives access tokens. */
    | { readonly kind: "identity_token"; readonly token: string }
    /** A bearer token that goes to the registry as it is. */
    | { readonly kind: "registry_token"; readonly token: string }
  );
