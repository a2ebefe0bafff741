"""Measurements: a line of JSON each, and a table of their medians and ratios by round."""
import json
import statistics
import subprocess
import sys

from machine import CALM, Others, wait_for_calm

# What may end a measurement: what was measured, what is missing, a time that has run out.
FAILED = (OSError, RuntimeError, AssertionError, ValueError, subprocess.SubprocessError)


def spread(values, form="%.1f"):
    """Median, with the least and the most where there are several."""
    middle = form % statistics.median(values)
    if len(values) < 2:
        return middle
    return "%s (%s-%s)" % (middle, form % min(values), form % max(values))


class Report:
    def __init__(self, path, patience=0):
        self.patience = patience  # seconds to wait for others before each measurement
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.rows = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file:
            self.file.close()

    def write(self, **line):
        if self.file:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def context(self, **about):
        self.write(part="context", **about)
        print(", ".join("%s %s" % x for x in about.items()), flush=True)

    def measure(self, part, what, turn, once, *args):
        """One measurement, of `what` in round `turn`; False if it failed, which is told."""
        wait_for_calm(self.patience)
        others = Others()
        try:
            figures = once(*args)
            self.row(part, what, turn, **figures, others_percent=others.percent())
        except FAILED as e:
            print("  %s: %s: measured without it" % (what, e), file=sys.stderr, flush=True)
            return False
        return True

    def row(self, part, what, turn, **figures):
        line = dict(part=part, what=what, round=turn, **figures)
        self.rows.append(line)
        self.write(**line)
        print("  %s, round %d: %s" % (what, turn, ", ".join(
            "%s %s" % (k, v) for k, v in figures.items() if not isinstance(v, str))),
            file=sys.stderr, flush=True)

    def of(self, part, what, field, calm=False):
        return {r["round"]: r[field] for r in self.rows
                if r["part"] == part and r["what"] == what and r.get(field) is not None
                and not (calm and r["others_percent"] > CALM)}

    def ratios(self, part, ours, theirs, field, calm):
        """Ours to theirs, of every round that has both."""
        a, b = self.of(part, ours, field, calm), self.of(part, theirs, field, calm)
        return [a[turn] / b[turn] for turn in a if b.get(turn)]

    def table(self, part, title, columns, compared=()):
        """`columns`: (field, heading, form); `compared`: pairs of what, ours first."""
        rows = [r for r in self.rows if r["part"] == part]
        names = list(dict.fromkeys(r["what"] for r in rows))
        quiet = [r for r in rows if r["others_percent"] <= CALM]
        calm = {r["what"] for r in quiet} == set(names)  # enough of them
        title += ", %d of %d taken in calm%s" % (
            len(quiet), len(rows), "" if not calm or len(quiet) == len(rows) else ", those only")
        lines = [[""] + [heading for _, heading, _ in columns]]
        for name in names:
            found = [(list(self.of(part, name, field, calm).values()), form)
                     for field, _, form in columns]
            lines.append([name] + [spread(v, form) if v else "-" for v, form in found])
        for ours, theirs in compared:
            found = [self.ratios(part, ours, theirs, field, calm) for field, _, _ in columns]
            if not any(found):
                continue
            lines.append(["%s / %s" % (ours, theirs)] +
                         [spread(v, "%.2f") if v else "-" for v in found])
            self.write(part=part, what=lines[-1][0], ratio={
                field: [round(x, 3) for x in v] for (field, _, _), v in zip(columns, found) if v})
        self.show(title, lines)

    @staticmethod
    def show(title, lines):
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        print("\n%s; medians (least-most)" % title)
        for line in lines:
            print("  " + "  ".join([line[0].ljust(widths[0])] + [
                cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip())
        print(flush=True)
