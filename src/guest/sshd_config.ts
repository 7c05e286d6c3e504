import { sshPort } from "../wire/messages.ts";

/** `/.banger/etc/sshd_config`: keys only, and nothing that needs files of the image. */
export const sshdConfig = `Port ${sshPort}
HostKey /run/banger/ssh/host_key
AuthorizedKeysFile /run/banger/ssh/authorized_keys .ssh/authorized_keys
PidFile /run/banger/ssh/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
MaxStartups 100:30:200
MaxSessions 100
AcceptEnv LANG LC_* COLORTERM
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
`;
