/** The login user of every guest. */
export const guestUser = "root";
