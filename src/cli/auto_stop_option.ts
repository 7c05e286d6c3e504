import { autoStopLimitsMs, durationMs } from "../config/duration.ts";
import { BangerError } from "../model/errors.ts";

/** `--auto-stop` in milliseconds: 0 is `never`, `null` is `default`. @throws BangerError `invalid` */
export function autoStopMs(text: string): number | null {
  if (text === "never") return 0;
  if (text === "default") return null;
  const ms = durationMs(text, autoStopLimitsMs.lowest, autoStopLimitsMs.highest);
  if (ms !== undefined) return ms;
  throw new BangerError(
    "invalid",
    `Cannot use --auto-stop ${JSON.stringify(text)}: it is no time from 1m to 30d`,
    { hint: "Such as 30m or 2h, never, or default for what is configured" },
  );
}
