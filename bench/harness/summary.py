"""From single runs to medians, ranges and ratios: plain data, which the table, the page and the comparison read."""

from statistics import median, quantiles

# Differences below this are not findings on machines whose clock drifts; memory does not drift.
NOISE = {"memory": 0.02, "latency": 0.15}
NOISE_OTHERWISE = 0.08

UNITS = {"cpu": "µs of server CPU per message", "memory": "bytes per connection", "latency": "µs", "shards": "messages a second"}


def noise_of(kind):
    return NOISE.get(kind, NOISE_OTHERWISE)


def figure_of(kind, result):
    """The one number of a run that a row is about; latency has two, and asks for itself."""
    if kind == "memory":
        return result["bytes_per_connection"]
    if kind == "shards":
        return result["deliveries_per_second"]
    return result.get("server_cpu_us_per_message")


def picks_of(kind):
    if kind == "latency":
        return {q: (lambda r, q=q: r["latency_us"][q]) for q in ("p50", "p99")}
    return {"": lambda r: figure_of(kind, r)}


def describe(values):
    q1, _, q3 = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return {"median": median(values), "min": min(values), "max": max(values), "q1": q1, "q3": q3, "runs": len(values)}


def values(runs, server, pick):
    found = [pick(run["result"]) for run in runs if run["server"] == server and "error" not in run["result"]]
    return [value for value in found if value is not None]


def paired_ratios(runs, ours, peer, pick):
    """ours / peer in each rotation: both of a pair were taken within seconds of each other, so a drifting clock cancels."""
    by_rotation = {}
    for run in runs:
        if "error" not in run["result"]:
            by_rotation.setdefault(run["rotation"], {})[run["server"]] = pick(run["result"])
    return [found[ours] / found[peer] for found in by_rotation.values() if found.get(ours) and found.get(peer)]


def verdict(ratio, goal, kind):
    if ratio <= goal:
        return "reached"
    over = ratio / goal - 1
    return f"missed by {over:.0%}" + (" (within noise)" if over <= noise_of(kind) else "")


def throughput(runs, server):
    """What stands beside the CPU: messages or handshakes a second, and how busy the two programs were."""
    beside = {}
    for key in ("deliveries_per_second", "handshakes_per_second", "server_cpu_share", "generator_cpu_share", "compressed_share"):
        found = values(runs, server, lambda r: r.get(key))
        if found:
            beside[key] = median(found)
    return beside


def summarise(scenario, runs):
    """Medians of each server, the ratio of ringcast to each peer, and each goal with its verdict."""
    kind = scenario.kind
    out = {"name": scenario.name, "title": scenario.title, "kind": kind, "group": scenario.group, "x": scenario.x, "figures": []}
    out["errors"] = [f"{run['server']}: {run['result']['error']}" for run in runs if "error" in run["result"]]
    out["noisy"] = sum(bool(run.get("noisy")) for run in runs)
    # A peer that was asked for on the command line stands in no scenario.
    servers = list(dict.fromkeys([*scenario.servers, *(run["server"] for run in runs)]))
    for label, pick in picks_of(kind).items():
        found = {server: values(runs, server, pick) for server in servers}
        entry = {"label": label, "servers": {s: describe(v) for s, v in found.items() if v}, "goals": []}
        for peer in [s for s in entry["servers"] if s != "ringcast"]:
            ratios = paired_ratios(runs, "ringcast", peer, pick)
            if ratios:
                goal = scenario.goals.get(peer)
                entry["goals"].append({"peer": peer, **ratio_words(ratios), "goal": goal,
                                       "verdict": verdict(median(ratios), goal, kind) if goal else None})
        limit = scenario.goals.get("bytes")
        ours = entry["servers"].get("ringcast")
        if limit and ours:
            entry["goals"].append({"peer": "bytes", "ratio": ours["median"], "goal": limit,
                                   "verdict": verdict(ours["median"], limit, kind)})
        out["figures"].append(entry)
    out["beside"] = {server: beside for server in servers if (beside := throughput(runs, server))}
    if kind == "shards":
        out["remark"] = shards_remark(runs)
    elif "deflate" in scenario.needs:
        shares = {server: beside["compressed_share"] for server, beside in out["beside"].items() if "compressed_share" in beside}
        out["remark"] = "frames that came compressed: " + ", ".join(f"{share:.0%} from {server}" for server, share in shares.items())
    return out


def ratio_words(ratios):
    described = describe(ratios)
    return {"ratio": described["median"], **{key: described[key] for key in ("min", "max", "q1", "q3", "runs")}}


def shards_remark(runs):
    """Whether the second shard could show anything: the generator takes a part of a core that it needs, too."""
    two = [run["result"] for run in runs if run["server"] == "ringcast-2" and "error" not in run["result"]]
    one = [run["result"] for run in runs if run["server"] == "ringcast" and "error" not in run["result"]]
    if not one or not two:
        return "not measured"
    own = median(r["generator_cpu_share"] for r in one)
    all_cores = median(r["generator_cpu_share"] + r["server_cpu_share"] for r in two)
    more = median(r["deliveries_per_second"] for r in two) / median(r["deliveries_per_second"] for r in one)
    limit = "the generator limits the single shard" if own > 0.9 else "the generator does not limit the single shard"
    return (f"2 shards deliver {more:.2f}x of 1; {limit} (its CPU share there {own:.0%}); "
            f"server and generator together used {all_cores:.2f} cores with 2 shards")


def leads(summaries):
    """The rows in which a peer is better than ringcast by more than noise, worst first: they belong in the open."""
    found = []
    for summary in summaries:
        sign = -1 if summary["kind"] == "shards" else 1
        for entry in summary["figures"]:
            for goal in entry["goals"]:
                if goal["peer"] in ("bytes", "ringcast-2") or not goal.get("ratio"):
                    continue
                behind = goal["ratio"] ** sign - 1
                if behind > noise_of(summary["kind"]):
                    found.append({"name": summary["name"], "title": summary["title"], "label": entry["label"],
                                  "peer": goal["peer"], "ratio": goal["ratio"]})
    return sorted(found, key=lambda row: -row["ratio"])
