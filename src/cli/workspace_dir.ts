/** Home directory of the guest's login user. */
export const guestHome = "/root";

/** Where a workspace of this name is in the guest; `null`, the guest's choice, when there is none. */
export function workspaceDir(workspace: string | null): string | null {
  return workspace === null ? null : `${guestHome}/${workspace}`;
}
