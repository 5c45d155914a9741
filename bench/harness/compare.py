"""What changed between two runs, with the noise beside it.

Clocks of virtual machines differ by tens of percent from one hour to the next, so microseconds of two runs say little. Each run
has the same peers in the same rotations, though, and a peer of the same version did not change: the ratio ours / peer is
compared, and the plain change only stands beside it. Without a common peer the plain change decides, and the row says so.
"""

from math import exp, log, sqrt
from statistics import median

from harness import raw as rawfile
from harness import summary, table

RUNS_MIN = 3  # With fewer the spread cannot be known.
REFERENCES = ("epoll", "bun", "beast", "ws", "nginx", "nats")
NOTCH = 1.57  # Medians whose notches of 1.57 * (q3 - q1) / sqrt(n) do not overlap differ (95 %): McGill, Tukey and Larsen, 1978.


def uncertainty(values):
    """How far the median of these values may be from the true one, as a share of it."""
    described = summary.describe(values)
    if len(values) < 4:
        spread = (described["max"] - described["min"]) / 2
    else:
        spread = NOTCH * (described["q3"] - described["q1"]) / sqrt(len(values))
    return spread / abs(described["median"]) if described["median"] else 0.0


def read(path):
    raw = rawfile.read(path)
    runs = {}
    for run in raw["runs"]:
        runs.setdefault(run["scenario"], []).append(run)
    kinds = {found["name"]: found["kind"] for found in raw["summaries"]}
    return raw, runs, kinds


def common_references(old_raw, new_raw):
    """Peers of the same version in both: what changed in their figures is the machine. The bare loop is as old as its commit."""
    both = old_raw["versions"].keys() & new_raw["versions"].keys()
    return [name for name in REFERENCES if name in both and old_raw["versions"][name] == new_raw["versions"][name]]


def compared(name, label, pick, kind, old_runs, new_runs, references):
    """One row, or nothing where ringcast was not measured in both."""
    old, new = (summary.values(runs, "ringcast", pick) for runs in (old_runs, new_runs))
    if not old or not new:
        return None
    higher_is_better = kind == "shards"
    row = {"name": name, "label": label, "kind": kind, "old": median(old), "new": median(new),
           "plain": median(new) / median(old) - 1, "peer": None}
    runs_least = min(len(old), len(new))
    row["change"], row["noise"] = row["plain"], max(summary.noise_of(kind), sqrt(uncertainty(old) ** 2 + uncertainty(new) ** 2))
    for peer in references:
        before, after = (summary.paired_ratios(runs, "ringcast", peer, pick) for runs in (old_runs, new_runs))
        if before and after:
            row["peer"] = peer
            runs_least = min(len(before), len(after))
            row["change"] = median(after) / median(before) - 1
            row["noise"] = max(summary.noise_of(kind), sqrt(uncertainty(before) ** 2 + uncertainty(after) ** 2))
            break
    # As a factor, so that twice as much and half as much are as far from nothing.
    moved = abs(log(1 + row["change"])) > log(1 + row["noise"])
    worse = (row["change"] < 0) == higher_is_better
    row["verdict"] = "too few runs" if runs_least < RUNS_MIN else ("worse" if worse else "better") if moved else "within noise"
    return row


def compare(old_path, new_path):
    """Rows, what stands in one file only, and remarks about the two machines."""
    (old_raw, old_runs, old_kinds), (new_raw, new_runs, new_kinds) = read(old_path), read(new_path)
    references = common_references(old_raw, new_raw)
    rows = []
    for name, kind in new_kinds.items():
        if name in old_kinds:
            for label, pick in summary.picks_of(kind).items():
                if row := compared(name, label, pick, kind, old_runs[name], new_runs[name], references):
                    rows.append(row)
    remarks = [f"{what}: {old_raw['machine'][what]} before, {new_raw['machine'][what]} now" for what in ("cpu", "cores", "kernel", "compiler")
               if old_raw["machine"].get(what) != new_raw["machine"].get(what)]
    remarks += [f"{when}: {table.noise_words(raw['settings']).replace('**', '')}" for when, raw in (("before", old_raw), ("now", new_raw))
                if raw["settings"]["noisy_runs"]]
    remarks += drift(references, old_runs, new_runs, new_kinds)
    return {"rows": rows, "remarks": remarks, "only_old": sorted(old_kinds.keys() - new_kinds.keys()),
            "only_new": sorted(new_kinds.keys() - old_kinds.keys()),
            "commits": (old_raw["machine"]["commit"], new_raw["machine"]["commit"])}


def drift(references, old_runs, new_runs, kinds):
    """How much the same peers changed over all rows of CPU: that is the machine, not the commit."""
    for peer in references:
        changes = []
        for name, kind in kinds.items():
            if kind == "cpu" and name in old_runs:
                pick = summary.picks_of(kind)[""]
                before, after = (summary.values(runs[name], peer, pick) for runs in (old_runs, new_runs))
                if before and after:
                    changes.append(log(median(after) / median(before)))
        if changes:
            factor = exp(sum(changes) / len(changes))
            yield f"{peer}, which is the same in both, needs {factor:.2f} times the CPU it needed before: so much the machine itself changed"


def words(found):
    lines = [f"ringcast at {found['commits'][1]} against {found['commits'][0]}; a change is that of the ratio to the peer that is named, "
             "negative is less.", "",
             "| scenario | before | now | plain change | change | against | noise | verdict |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in found["rows"]:
        strong = "**" if row["verdict"] in ("better", "worse") else ""
        lines.append(f"| {row['name']}{' ' + row['label'] if row['label'] else ''} | {table.sig(row['old'])} | {table.sig(row['new'])} | "
                     f"{row['plain']:+.1%} | {row['change']:+.1%} | {row['peer'] or 'itself'} | ±{row['noise']:.1%} | "
                     f"{strong}{row['verdict']}{strong} |")
    lines.append("")
    count = {verdict: sum(row["verdict"] == verdict for row in found["rows"]) for verdict in ("better", "worse", "within noise", "too few runs")}
    lines.append(", ".join(f"{number} {verdict}" for verdict, number in count.items()) + ".")
    lines += [f"Note: {remark}." if not remark.endswith(".") else f"Note: {remark}" for remark in found["remarks"]]
    for which, names in (("Only before", found["only_old"]), ("Only now", found["only_new"])):
        if names:
            lines.append(f"{which}: {', '.join(names)}.")
    return "\n".join(lines)


def main(old_path, new_path):
    try:
        found = compare(old_path, new_path)
    except (OSError, ValueError, KeyError) as trouble:
        print(f"bench: cannot compare {old_path} with {new_path}: {type(trouble).__name__} {trouble}")
        return 2
    print(words(found))
    return 1 if any(row["verdict"] == "worse" for row in found["rows"]) else 0
