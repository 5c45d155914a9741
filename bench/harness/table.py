"""From single runs to medians, ratios and the Markdown table."""

from statistics import median

# Differences below this are not findings on machines whose clock drifts (MEASURED figures of the first days).
NOISE = 0.08


def figure_of(scenario, run):
    """The one number of a run that a row is about; two for latency."""
    if scenario.kind == "memory":
        return run["bytes_per_connection"]
    if scenario.kind == "shards":
        return run["deliveries_per_second"]
    return run.get("server_cpu_us_per_message")


def values(scenario, runs, server, pick):
    return [pick(run["result"]) for run in runs if run["server"] == server and "error" not in run["result"]]


def paired_ratio(scenario, runs, ours, peer, pick):
    """Median over the rotations of ours / peer: both of a pair were taken within seconds of each other."""
    by_rotation = {}
    for run in runs:
        if "error" not in run["result"]:
            by_rotation.setdefault(run["rotation"], {})[run["server"]] = pick(run["result"])
    pairs = [found[ours] / found[peer] for found in by_rotation.values() if found.get(ours) and found.get(peer)]
    return (median(pairs), min(pairs), max(pairs)) if pairs else None


def sig(number):
    """Three significant digits, and no exponent."""
    if number >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}" if number >= 1 else f"{number:.4f}".rstrip("0").rstrip(".") if number < 0.1 else f"{number:.3f}"


def verdict(ratio, goal):
    if ratio <= goal:
        return "reached"
    over = ratio / goal - 1
    return f"missed by {over:.0%}" + (" (within noise)" if over <= NOISE else "")


def summarise(scenario, runs):
    """Plain data for the report: medians of each server, and each goal with its ratio and verdict."""
    picks = {"": lambda r: figure_of(scenario, r)}
    if scenario.kind == "latency":
        picks = {q: (lambda r, q=q: r["latency_us"][q]) for q in ("p50", "p99")}
    out = {"name": scenario.name, "title": scenario.title, "kind": scenario.kind, "figures": [], "errors": []}
    out["errors"] = [f"{run['server']}: {run['result']['error']}" for run in runs if "error" in run["result"]]
    # A peer that was asked for on the command line stands in no scenario.
    servers = list(dict.fromkeys([*scenario.servers, *(run["server"] for run in runs)]))
    for label, pick in picks.items():
        entry = {"label": label, "servers": {}, "goals": []}
        for server in servers:
            found = values(scenario, runs, server, pick)
            if found:
                entry["servers"][server] = {"median": median(found), "min": min(found), "max": max(found),
                                            "runs": len(found)}
        for peer in [s for s in servers if s != "ringcast"]:
            ratio = paired_ratio(scenario, runs, "ringcast", peer, pick)
            if ratio:
                goal = scenario.goals.get(peer)
                entry["goals"].append({"peer": peer, "ratio": ratio[0], "min": ratio[1], "max": ratio[2], "goal": goal,
                                       "verdict": verdict(ratio[0], goal) if goal else None})
        limit = scenario.goals.get("bytes")
        ours = entry["servers"].get("ringcast")
        if limit and ours:
            entry["goals"].append({"peer": "bytes", "ratio": ours["median"], "goal": limit,
                                   "verdict": verdict(ours["median"], limit)})
        out["figures"].append(entry)
    if scenario.kind == "shards":
        out["remark"] = shards_remark(runs)
    return out


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


def markdown(machine, versions, summaries, settings):
    lines = [f"# Benchmark of {settings['date']}", ""]
    lines += [f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, {machine['compiler']}, "
              f"{machine['build_type']}, commit {machine['commit']}.", ""]
    lines += ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    lines += [f"Repeat: `{settings['command']}`. Server on core {settings['server_cpu']}, generator on core "
              f"{settings['generator_cpu']}; {settings['rotations']} rotations of {settings['seconds']} s slices, fresh processes "
              "for each third of them.", ""]
    lines += ["Figures are medians with (lowest – highest): microseconds of server CPU per delivered message; bytes per "
              "connection for memory; microseconds for latency; deliveries a second for two-shards. A ratio is ours / peer, the median over "
              "the rotations.", ""]
    if settings["noisy_runs"]:
        lines += [f"**Noisy machine**: in {settings['noisy_runs']} of {settings['runs']} slices something else took more than 15 % "
                  "of a core, three times in a row.", ""]
    servers = [s for s in ("ringcast", "ringcast-2", "bun", "epoll") if any(
        s in entry["servers"] for summary in summaries for entry in summary["figures"])]
    servers += sorted({s for summary in summaries for entry in summary["figures"] for s in entry["servers"]} - set(servers))
    lines += ["| scenario | what | " + " | ".join(servers) + " | ratio, goal |",
              "| --- | --- |" + " --- |" * len(servers) + " --- |"]
    for summary in summaries:
        for entry in summary["figures"]:
            cells = []
            for server in servers:
                found = entry["servers"].get(server)
                cells.append(f"{sig(found['median'])} ({sig(found['min'])} – {sig(found['max'])})" if found else "")
            goals = "; ".join(goal_words(goal) for goal in entry["goals"]) or ("; ".join(summary["errors"][:1]) or "–")
            label = f" {entry['label']}" if entry["label"] else ""
            lines.append(f"| {summary['name']}{label} | {summary['title']} | " + " | ".join(cells) + f" | {goals} |")
    lines.append("")
    for summary in summaries:
        if summary.get("remark"):
            lines.append(f"- {summary['name']}: {summary['remark']}")
        for error in dict.fromkeys(summary["errors"]):
            lines.append(f"- {summary['name']}: {summary['errors'].count(error)} runs failed: {error}")
    return "\n".join(lines) + "\n"


def goal_words(goal):
    if goal["peer"] == "bytes":
        return f"at most {goal['goal']} B: {goal['verdict']}"
    asked = f", goal {goal['goal']}: **{goal['verdict']}**" if goal["goal"] else ""
    return f"{goal['ratio']:.3f}x {goal['peer']}{asked}"
