import type { FaultOperation } from "./operation.ts";
import { bringTo, name, paramsOf, world } from "./vm_under_test.ts";

/** Ports of the guest; `Lane.wanted` says where on the host they are. */
const [one, two] = [8001, 8002];

/** Publishing ports and taking them back, and what has them at its start. */
export const portOperations: readonly FaultOperation[] = [
  {
    name: "publish",
    prepare: (lane) => bringTo(lane, "running"),
    run: (lane) => lane.attempt("vm.publish", { vm: name, ports: [lane.wanted(one)] }),
    world,
    worlds: {
      ok: [`running, port ${one} open`],
      failed: ["running"],
      lost: ["running", `running, port ${one} open`],
      vmm: ["stopped", `stopped, port ${one} closed`],
    },
  },
  {
    name: "publish (stopped)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped"),
    run: (lane) =>
      lane.attempt("vm.publish", { vm: name, ports: [lane.wanted(one), lane.wanted(two)] }),
    world,
    worlds: {
      ok: [`stopped, port ${one} closed, port ${two} closed`],
      failed: ["stopped"],
      lost: ["stopped", `stopped, port ${one} closed, port ${two} closed`],
    },
  },
  {
    name: "unpublish",
    prepare: (lane) => bringTo(lane, "running", { publish: [one, two] }),
    run: (lane) => lane.attempt("vm.unpublish", { vm: name, ports: [lane.wanted(one)] }),
    world,
    worlds: {
      ok: [`running, port ${two} open`],
      failed: [`running, port ${one} open, port ${two} open`],
      lost: [`running, port ${one} open, port ${two} open`, `running, port ${two} open`],
      vmm: [`stopped, port ${one} closed, port ${two} closed`, `stopped, port ${two} closed`],
    },
    refusedAgain: /it is not published/,
    refusedTwice: /it is not published/,
  },
  {
    name: "unpublish (stopped)",
    atRest: true,
    prepare: (lane) => bringTo(lane, "stopped", { publish: [one] }),
    run: (lane) => lane.attempt("vm.unpublish", { vm: name, ports: [lane.wanted(one)] }),
    world,
    worlds: {
      ok: ["stopped"],
      failed: [`stopped, port ${one} closed`],
      lost: ["stopped", `stopped, port ${one} closed`],
    },
    refusedAgain: /it is not published/,
    refusedTwice: /it is not published/,
  },
  {
    name: "create --publish",
    atRest: true,
    prepare: (lane) => bringTo(lane, "absent"),
    run: (lane) => lane.attempt("vm.create", paramsOf(lane, { publish: [one, two] })),
    world,
    worlds: {
      ok: [`created, port ${one} closed, port ${two} closed`],
      failed: ["absent"],
      lost: ["absent", `created, port ${one} closed, port ${two} closed`],
    },
    refusedAgain: /name is taken|publishes it/,
    refusedTwice: /name is taken|publishes it/,
  },
  {
    name: "start (ports)",
    prepare: (lane) => bringTo(lane, "stopped", { publish: [one, two] }),
    run: (lane) => lane.attempt("vm.start", { vm: name }),
    world,
    worlds: {
      ok: [`running, port ${one} open, port ${two} open`],
      failed: [`stopped, port ${one} closed, port ${two} closed`],
      lost: [
        `stopped, port ${one} closed, port ${two} closed`,
        `running, port ${one} open, port ${two} open`,
      ],
      vmm: [`stopped, port ${one} closed, port ${two} closed`],
      broke: [`failed, port ${one} closed, port ${two} closed`],
    },
  },
];
