"""The page of a run: one file with its data, its style, its script and uPlot in it, so that it opens anywhere."""

import html
import json
import re
import subprocess
from pathlib import Path

from harness import summary, table

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "bench" / "report"
UPLOT_VERSION = "1.6.32"
UPLOT_HOME = ROOT / "build" / "peers" / "uplot"


def uplot():
    """uPlot's style and script, from npm once; None where it cannot be had, and then the page shows tables only."""
    package = UPLOT_HOME / "node_modules" / "uplot"
    if not (package / "dist" / "uPlot.iife.min.js").exists():
        UPLOT_HOME.mkdir(parents=True, exist_ok=True)
        (UPLOT_HOME / "package.json").write_text('{"private":true}\n')
        try:
            subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", f"uplot@{UPLOT_VERSION}"],
                           cwd=UPLOT_HOME, check=True, timeout=120, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError):
            return None
    licence = (package / "LICENSE").read_text().strip()
    holder = next(line for line in licence.splitlines() if line.startswith("Copyright"))
    return {"style": (package / "dist" / "uPlot.min.css").read_text(),
            "script": (package / "dist" / "uPlot.iife.min.js").read_text(),
            "licence": f"uPlot {UPLOT_VERSION}, MIT License, {holder}", "licence_text": licence}


def page(raw):
    """The whole page for the content of a raw.json.gz."""
    charts = uplot()
    settings, machine = raw["settings"], raw["machine"]
    unwatched = {found["name"] for found in raw["summaries"] if found["kind"] == "memory"}  # Other programs do not change memory.
    shown = {
        "machine": machine, "versions": raw["versions"], "settings": settings, "summaries": raw["summaries"],
        "servers": table.servers_of(raw["summaries"]), "units": summary.UNITS, "leads": summary.leads(raw["summaries"]),
        "noise": [[round(run["foreign_share"], 3), round(run["steal_share"], 3)] for run in raw["runs"] if run["scenario"] not in unwatched],
        "noiseWords": table.noise_words(settings).replace("**", ""),
        "noisy": settings["noisy_runs"] > settings["runs"] * 0.1,
        "licence": charts["licence"] if charts else "",
    }
    # "</" would end the script element early, whatever it stands in.
    data = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    parts = {
        "TITLE": html.escape(f"ringcast benchmark of {settings['date']}"),
        "STYLE": (charts["style"] if charts else "") + (SOURCES / "report.css").read_text(),
        "UPLOT": f"/*!\n{charts['licence_text']}\n*/\n{charts['script']}" if charts else "",
        "DATA": data,
        "CHARTS": (SOURCES / "charts.js").read_text(),
        "SCRIPT": (SOURCES / "report.js").read_text(),
    }
    # One pass, so that no part is looked at for the names of the others.
    template = (SOURCES / "template.html").read_text()
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found.group(1)], template)
