"""The Markdown table: every figure of a run, to be read in a text editor or quoted."""

ORDER = ("ringcast", "ringcast-2", "epoll", "bun", "beast", "ws", "nginx", "nats")


def sig(number):
    """Three significant digits, and no exponent."""
    if number >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}" if number >= 1 else f"{number:.4f}".rstrip("0").rstrip(".") if number < 0.1 else f"{number:.3f}"


def servers_of(summaries):
    seen = {server for summary in summaries for entry in summary["figures"] for server in entry["servers"]}
    return [s for s in ORDER if s in seen] + sorted(seen - set(ORDER))


def noise_words(settings):
    """The sentence about the machine's own noise, which stands at the top of everything."""
    runs, noisy = settings["runs"], settings["noisy_runs"]
    if not runs:
        return "Nothing was measured."
    share = noisy / runs
    what = (f"in {noisy} of {runs} slices something else took more than 15 % of a core (or as much was stolen by the host), "
            "three times in a row")
    if share > 0.1:
        return f"**Noisy machine**: {what}. Do not believe small differences."
    return f"Quiet machine, but {what}." if noisy else f"Quiet machine: nothing else took more than 15 % of a core in any of {runs} slices."


def markdown(machine, versions, summaries, settings):
    lines = [f"# Benchmark of {settings['date']}", ""]
    lines += [f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, {machine['compiler']}, "
              f"{machine['build_type']}, commit {machine['commit']}.", ""]
    lines += ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    lines += [f"Repeat: `{settings['command']}`. Server on core {settings['server_cpu']}, generator on core "
              f"{settings['generator_cpu']}; {rotation_words(settings)} slices of {settings['seconds']} s to each server, in turn, with "
              "fresh processes for each third of them.", ""]
    lines += ["Figures are medians with (lowest – highest): microseconds of server CPU per delivered message; bytes per "
              "connection for memory; microseconds for latency; deliveries a second for two-shards. A ratio is ours / peer, the median over "
              "the rotations; below 1 ringcast needs less.", ""]
    lines += [noise_words(settings), ""]
    if settings.get("left_out"):
        lines += ["Left out for lack of time: " + ", ".join(settings["left_out"]) + ".", ""]
    servers = servers_of(summaries)
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


def rotation_words(settings):
    low, high = settings.get("rotations_min", settings["rotations"]), settings["rotations"]
    return f"{low} to {high}" if low != high else f"{high}"


def goal_words(goal):
    if goal["peer"] == "bytes":
        return f"at most {goal['goal']} B: {goal['verdict']}"
    asked = f", goal {goal['goal']}: **{goal['verdict']}**" if goal["goal"] else ""
    return f"{goal['ratio']:.3f}x {goal['peer']}{asked}"
