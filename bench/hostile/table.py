"""What a row says, and whether it holds."""

MIB = 1 << 20
MEMORY_BACK_MAX = 10 * MIB
WORST_MS_MAX = 50
P99_FACTOR = 2
# The kernel's is that of the whole machine, whose other programs talk, too.
KERNEL_BACK_MAX = 32 * MIB
# Below this a factor says nothing: it is the time of a wake-up.
P99_MS_LEAST = 1.0
# What the whole process may grow meanwhile, where only counts are gated: with a tenth of the crowd, of whom each may hold a message of 1 MB.
COUNTED_BYTES_MAX = 96 * MIB


def worst(figures, kind="messages"):
    return figures.get(kind, {}).get("worst_ms", 0.0)


def trouble(row, gate):
    """What does not hold, in words; an empty list where all does."""
    found = []
    if "failed" in row or "failed" in row.get("attacker", {}):
        found.append(row.get("failed") or f"the attacker broke: {row['attacker']['failed']}")
    if not row["lived"]:
        return found + [f"the server ended with {row['exit']}"]
    if row["exit"] is None:
        found.append("SIGTERM did not end it in 15 s")
    elif row["exit"] != 0:
        found.append(f"exit {row['exit']} on SIGTERM")
    if "after" not in row:
        return found
    said = row["during"]["messages"]
    for key, words in (("lost", "honest clients were cut"), ("out_of_order", "messages out of order")):
        if row["after"]["messages"][key]:
            found.append(f"{row['after']['messages'][key]} {words}")
    if row["after"]["messages"]["unanswered_for_1s"]:
        found.append(f"{row['after']['messages']['unanswered_for_1s']} honest clients still unanswered at the end")
    for kind, words in (("connects", "connections"), ("tls_connects", "TLS connections")):
        refused = row["during"].get(kind, {}).get("refused", 0)
        if refused:
            found.append(f"{refused} honest {words} refused")
        if row["after"].get(kind, {}).get("served") == 0:
            found.append(f"no honest {words} after it")
    if row.get("attacker", {}).get("healthy members cut"):
        found.append(f"{row['attacker']['healthy members cut']} healthy members cut")
    grown = row["memory_most"] - row["memory_before"]
    if row["memory_after"] - row["memory_before"] > MEMORY_BACK_MAX:
        found.append(f"{(row['memory_after'] - row['memory_before']) / MIB:.0f} MB not given back")
    if gate == "counts":
        if grown > COUNTED_BYTES_MAX:
            found.append(f"memory grew by {grown / MIB:.0f} MB")
        return found
    if row["kernel_after"] - row["kernel_before"] > KERNEL_BACK_MAX:
        found.append(f"{(row['kernel_after'] - row['kernel_before']) / MIB:.0f} MB of the kernel's not given back")
    for kind, words in (("messages", "messages"), ("connects", "connects"), ("tls_connects", "TLS connects")):
        now, then = row["during"].get(kind), row["before"].get(kind)
        if not now or not then:
            continue
        if now["worst_ms"] > WORST_MS_MAX:
            found.append(f"{words}: worst {now['worst_ms']:.0f} ms")
        elif now["p99_ms"] > max(P99_MS_LEAST, P99_FACTOR * then["p99_ms"]):
            found.append(f"{words}: p99 {now['p99_ms'] / max(then['p99_ms'], 0.001):.1f}x")
    if said["unanswered_for_1s"]:
        found.append(f"{said['unanswered_for_1s']} honest clients unanswered for 1 s")
    return found


COLUMNS = ("attack", "sent MB", "p99 ms before", "during", "worst ms", "TLS connect p99 ms before", "during", "server cores", "MB before", "most", "5 s after",
           "kernel MB most", "after", "verdict")


def head():
    return "| " + " | ".join(COLUMNS) + " |\n" + "| --- " * len(COLUMNS) + "|"


def line(row):
    mib = lambda key: f"{row[key] / MIB:.1f}" if key in row else ""  # noqa: E731
    at = lambda phase, kind, key: f"{row[phase][kind][key]:.2f}" if phase in row and kind in row[phase] else ""  # noqa: E731
    sent = row.get("attacker", {}).get("sent")
    return "| " + " | ".join((
        row["attack"], "" if sent is None else f"{sent / MIB:.3f}", at("before", "messages", "p99_ms"), at("during", "messages", "p99_ms"),
        at("during", "messages", "worst_ms"), at("before", "tls_connects", "p99_ms"), at("during", "tls_connects", "p99_ms"),
        f"{row['server_cores']:.2f}" if "server_cores" in row else "", mib("memory_before"), mib("memory_most"), mib("memory_after"), mib("kernel_most"),
        mib("kernel_after"), "; ".join(row["trouble"]) or "holds")) + " |"


def page(raw):
    facts = raw["machine"]
    rows = raw["rows"]
    out = ["# The server under attack", "",
           f"{raw['date']}, commit {facts['commit']}, {facts['cpu']}, {facts['cores']} cores, kernel {facts['kernel']}; load of the machine at the start "
           f"{facts['load_at_start']:.1f}. 2 shards, 200 honest clients (100 echo every 100 ms, 100 in 10 rooms, a fifth of them through TLS), 10 newcomers a second of "
           "each kind. Memory is the server's anonymous pages; the kernel's is of all TCP sockets of the machine, both ends.", ""]
    out += [raw["remark"], ""] if raw.get("remark") else []
    out += [head()]
    out += [line(row) for row in rows]
    out += ["", "| attack | what it does |", "| --- | --- |"] + [f"| {row['attack']} | {row['what']} |" for row in rows]
    return "\n".join(out) + "\n"
