import { run } from "../../src/process/run.ts";

/** Everything about one name of a tree that a program can see. */
export interface DumpedEntry {
  /** Octal, type and permissions. */
  readonly mode: string;
  readonly owner: string;
  /** Names of the inode; `-` for a directory, which file systems count in their own ways. */
  readonly links: string;
  /** The first name of the same inode, where there are more. */
  readonly sameAs: string;
  readonly size: string;
  /** Seconds since 1970 with microseconds. */
  readonly mtime: number;
  readonly device: string;
  /** Digest of a file's content, or target of a symlink, in hexadecimal. */
  readonly content: string;
  readonly xattrs: string;
}

/** Perl reads names as bytes; Deno cannot name a file that is not UTF-8. */
const program = String.raw`
use strict; use warnings; use Digest::MD5; use Time::HiRes; use POSIX ();
my $arm = (POSIX::uname())[4] eq "aarch64";
my ($llist, $lget) = $arm ? (12, 9) : (195, 192);
my %first;
chdir $ARGV[0] or die "chdir: $!";
sub xattrs {
  my ($path) = @_; my $names = "\0" x 65536;
  my $length = syscall($llist, $path, $names, 65536);
  return "" if $length <= 0;
  my @all;
  for my $name (sort split /\0/, substr($names, 0, $length)) {
    my $value = "\0" x 65536; my $key = $name;
    my $size = syscall($lget, $path, $key, $value, 65536);
    push @all, $name . "=" . unpack("H*", substr($value, 0, $size < 0 ? 0 : $size));
  }
  return join ",", @all;
}
my @open = (".");
while (defined(my $path = shift @open)) {
  my @s = Time::HiRes::lstat($path) or die "lstat $path: $!";
  my $type = $s[2] & 0170000; my $content = ""; my $dir = $type == 0040000;
  if ($type == 0100000) {
    my $sum = Digest::MD5->new;
    open my $in, "<:raw", $path or die "open $path: $!";
    $sum->addfile($in); close $in; $content = $sum->hexdigest;
  } elsif ($type == 0120000) { $content = unpack "H*", readlink $path; }
  elsif ($dir) {
    opendir my $d, $path or die "opendir $path: $!";
    push @open, map { "$path/$_" } sort grep { $_ ne "." && $_ ne ".." } readdir $d; closedir $d;
  }
  my $same = ""; my $id = "$s[0]:$s[1]";
  if (!$dir && $s[3] > 1) { $same = unpack "H*", ($first{$id} //= $path); }
  printf "%s\t%o\t%d:%d\t%s\t%s\t%s\t%.6f\t%d\t%s\t%s\n", unpack("H*", $path), $s[2], $s[4], $s[5],
    $dir ? "-" : $s[3], $same, $dir ? "-" : $s[7], $s[9],
    ($type == 0020000 || $type == 0060000) ? $s[6] : 0, $content, xattrs($path);
}
`;

/** Reads a whole tree; keys are names in hexadecimal. Needs root to see everything. */
export async function dumpTree(root: string): Promise<Map<string, DumpedEntry>> {
  const { stdout } = await run("perl", ["-e", program, root], {
    timeoutMs: 120_000,
    maxStdoutBytes: 256 * 1024 ** 2,
  });
  const tree = new Map<string, DumpedEntry>();
  for (const line of new TextDecoder().decode(stdout).trimEnd().split("\n")) {
    const [
      path = "",
      mode = "",
      owner = "",
      links = "",
      sameAs = "",
      size = "",
      mtime = "",
      device = "",
      content = "",
      xattrs = "",
    ] = line.split("\t");
    const entry = { mode, owner, links, sameAs, size, device, content, xattrs };
    tree.set(path, { ...entry, mtime: Number(mtime) });
  }
  return tree;
}

/** The name in `path`, where it is readable. */
export function readableName(path: string): string {
  return new TextDecoder().decode(
    Uint8Array.from(path.match(/../g) ?? [], (hex) => parseInt(hex, 16)),
  );
}
