/** The login user of a plain ssh connection. */
export const guestUser = "root";
