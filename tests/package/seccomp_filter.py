"""A container's seccomp profile (the JSON that docker and podman read) as a filter of this process: what they do with it, by libseccomp, for
profiles without conditions."""
import json

import seccomp

ACTIONS = {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS}


def action_of(rule, default_errno=None):
    name = rule.get("action", rule.get("defaultAction"))
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(rule.get("errnoRet", rule.get("defaultErrnoRet", default_errno)))
    return ACTIONS[name]


def filter_of(path, without=()):
    """The filter, for load() in the process that it is to hold for; as if the profile did not have the names `without`."""
    with open(path, encoding="utf-8") as file:
        profile = json.load(file)
    default = action_of(profile, 1)
    made = seccomp.SyscallFilter(default)
    for rule in profile["syscalls"]:
        assert set(rule) <= {"names", "action", "errnoRet", "comment"}, f"a rule with conditions: {rule}"
        if action_of(rule, 1) == default:
            continue
        for name in set(rule["names"]) - set(without):
            made.add_rule(action_of(rule, 1), name)
    return made

