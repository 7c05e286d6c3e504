/** Home directory of the guest's login user. */
export const guestHome = "/root";

/** Where a workspace of this name is in the guest; the home directory when there is none. */
export function workspaceDir(workspace: string | null): string {
  return workspace === null ? guestHome : `${guestHome}/${workspace}`;
}
