from tests.transfer.conftest import *
from time import perf_counter
import json

def test_measure(ada, bob, sql):
    n = 5000
    lines = "\n".join(f"Company {i},Engineer {i},Rejected,2026-10-{i%28+1:02},2026-11-0{i%9+1},80000 - 90000 USD,https://x.com/{i},note {i}" for i in range(n))
    t = perf_counter()
    r = bring_in(ada, "Company,Position,Status,Date Applied,Last updated,Salary,URL,Notes\n" + lines)
    print("csv import", n, r["created"], perf_counter() - t)
    t = perf_counter()
    r2 = bring_in(ada, "Company,Position,Status,Date Applied,Last updated,Salary,URL,Notes\n" + lines)
    print("again", r2["unchanged"], perf_counter() - t)
    t = perf_counter(); out = take_out(ada); print("json export", perf_counter() - t)
    for e in out["applications"]:
        e["events"] += [{"kind": "moved", "occurred_at": f"2026-10-{d:02}T09:00:00+00:00", "stage_id": e["events"][0]["stage_id"]} for d in range(1, 4)]
        e["notes"] = [{"body": "note"}, {"body": "other"}]
        e["tasks"] = [{"title": "task"}]
    body = json.dumps(out); print(len(body))
    t = perf_counter(); r3 = bring_in(bob, body); print("json import", r3["created"], perf_counter() - t)
    t = perf_counter(); u = bob.delete(f"/api/applications/imports/{r3['import_id']}"); print("undo", u.json()["trashed"], perf_counter() - t)
    t = perf_counter(); u = ada.delete(f"/api/applications/imports/{r['import_id']}"); print("undo", u.json()["trashed"], perf_counter() - t)
    assert 0
