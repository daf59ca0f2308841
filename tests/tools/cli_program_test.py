#!/usr/bin/env python3
"""The program `framemill` against a gateway of canned answers: what it asks, what
it prints, and how it exits.

usage: cli_program_test.py PROGRAM
"""
import hashlib
import hmac
import http.server
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

PROGRAM = None
SECRET_ID, SECRET_KEY = "id-of-the-test", "key-of-the-test"


def tc3_signature(headers, method, path, query, body):
    """Recomputed here from the words of the specification, not from our code."""
    def digest(data):
        return hashlib.sha256(data).hexdigest()

    def mac(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    fields = dict(part.strip().split("=", 1)
                  for part in headers["Authorization"].split(" ", 1)[1].split(","))
    _, date, service, _ = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    canonical_headers = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    canonical = "\n".join([method, path, query, canonical_headers, ";".join(names), digest(body)])
    text = "\n".join(["TC3-HMAC-SHA256", headers["X-TC-Timestamp"],
                      f"{date}/{service}/tc3_request", digest(canonical.encode())])
    key = mac(mac(mac(("TC3" + SECRET_KEY).encode(), date), service), "tc3_request")
    return fields["Signature"], hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers actions from `answers`: a value, or a function of the body."""
    protocol_version = "HTTP/1.1"
    answers = {}
    stream = []
    asked = []
    unsigned = []

    def log_message(self, *_):
        pass

    def check(self, body):
        path, _, query = self.path.partition("?")
        given, wanted = tc3_signature(self.headers, self.command, path, query, body)
        if given != wanted:
            self.unsigned.append(self.path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.check(body)
        action, request = self.headers["X-TC-Action"], json.loads(body)
        self.asked.append((action, request))
        answer = self.answers.get(action, {"Error": {"Code": "InvalidAction", "Message": action}})
        answer = answer(request) if callable(answer) else answer
        text = json.dumps({"Response": {**answer, "RequestId": "r"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.check(b"")
        self.asked.append(("GET", self.path))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event, data in self.stream:
            self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()
        if not self.stream:
            self.server.hang.wait(30)  # a stream with nothing to say
        self.close_connection = True


def error(code, message):
    return {"Error": {"Code": code, "Message": message}}


def run_answer(state, failure=None):
    return {"TaskId": "t", "Jobs": [], "Shards": [], "Reproduce": [],
            "Run": {"Id": 7, "State": state, "Workflow": 1, "Revision": 1, "Failure": failure,
                    "Spec": {"Name": "w"}, "Object": {"Bucket": "media", "Key": "a.mp4"},
                    "Created": "2026-11-21T10:00:00.000000Z",
                    "Finished": "2026-11-21T10:00:03.000000Z"}}


def ended(state):
    return ("event", {"Id": 99, "Run": 7, "Type": "run.state", "State": state})


def progress(fraction, state="processing", **more):
    return {"Run": 7, "State": state, "Phase": "encoding", "Fraction": fraction, **more}


class Program(unittest.TestCase):
    def setUp(self):
        Gateway.answers, Gateway.stream, Gateway.asked, Gateway.unsigned = {}, [], [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        self.server.daemon_threads = True
        self.server.hang = threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.directory = tempfile.TemporaryDirectory()
        data = Path(self.directory.name)
        (data / "endpoint").write_text("127.0.0.1:%d\n" % self.server.server_port)
        (data / "credentials.json").write_text(
            json.dumps({"SecretId": SECRET_ID, "SecretKey": SECRET_KEY}))

    def tearDown(self):
        self.server.hang.set()
        self.server.shutdown()
        self.server.server_close()
        self.directory.cleanup()
        self.assertEqual(Gateway.unsigned, [], "requests whose signature does not hold")

    def command(self, *arguments):
        return [PROGRAM, "--data-dir", self.directory.name, *arguments]

    @property
    def environment(self):
        return {k: v for k, v in os.environ.items() if not k.startswith("FRAMEMILL")}

    def call(self, *arguments, stdin=""):
        done = subprocess.run(self.command(*arguments), input=stdin, capture_output=True,
                              text=True, timeout=30, env=self.environment)
        return done.returncode, done.stdout, done.stderr

    # ---- without a server ----

    def test_help_and_version_need_no_server(self):
        code, out, _ = self.call("--help")
        self.assertEqual(code, 0)
        self.assertIn("Exit codes:", out)
        self.assertEqual(self.call("version")[0], 0)
        self.assertEqual(self.call("workflow", "create", "--help")[0], 0)

    def test_a_wrong_command_line_exits_2(self):
        for arguments in ([], ["no-such-noun"], ["run"], ["run", "show"],
                          ["run", "list", "--limit", "many"], ["workflow", "create"],
                          ["run", "submit", "nothing", "--workflow", "1"]):
            self.assertEqual(self.call(*arguments)[0], 2, arguments)

    def test_no_server_exits_5_and_says_where_it_looked(self):
        code, _, err = self.call("--server", "127.0.0.1:1", "node", "show")
        self.assertEqual(code, 5)
        self.assertIn("127.0.0.1:1", err)

    def test_no_credentials_exits_4(self):
        code, _, err = self.call("--data-dir", "/nonexistent", "node", "show")
        self.assertEqual(code, 4)
        self.assertIn("/nonexistent/credentials.json", err)

    def test_completion_scripts_are_valid_bash(self):
        code, out, _ = self.call("completion", "bash")
        self.assertEqual(code, 0)
        typed = ('COMP_WORDS=(framemill --json run w); COMP_CWORD=3; _framemill; '
                 'echo "${COMPREPLY[@]}"')
        shown = subprocess.run(["bash", "-euc", out + typed], capture_output=True, text=True)
        self.assertEqual((shown.stdout, shown.stderr), ("watch\n", ""))

    def test_completion_and_the_manual_know_every_command(self):
        _, out, _ = self.call("completion", "bash")
        paths = re.findall(r"^    '([a-z -]+)'\) words=", out, re.M)
        leaves = [p for p in paths if not any(q.startswith(p + " ") for q in paths)]
        for wanted in ("node join-token", "node self-test", "cluster status", "top",
                       "run explain", "run release", "run certificate", "fault arm", "backup",
                       "restore"):
            self.assertIn(wanted, leaves)
        manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
        rows = [line.split(" | ")[0] for line in manual.splitlines() if line.startswith("| `")]
        told = {word for row in rows for word in self.commands_of(row)}
        self.assertEqual(sorted(set(leaves) - told), [])
        for path in leaves:
            self.assertEqual(self.call(*path.split(), "--help")[0], 0, path)

    @staticmethod
    def commands_of(row):
        """`node pause\\|resume NODE` tells of "node pause" and "node resume"."""
        for text in re.findall(r"`([^`]+)`", row):
            paths = [""]
            for word in text.replace("\\|", "|").split()[:3]:
                if not re.fullmatch(r"[a-z|-]+", word):
                    break
                paths = [f"{path} {w}".strip() for path in paths for w in word.split("|")]
                yield from paths

    def test_inspect_of_what_is_no_data_directory_exits_3(self):
        self.assertEqual(self.call("inspect", self.directory.name)[0], 3)

    # ---- answers ----

    def test_refusals_of_the_server_decide_the_exit_code(self):
        for api_code, code in (("ResourceNotFound.TemplateNotExist", 3), ("FailedOperation", 4),
                               ("AuthFailure.SignatureFailure", 4), ("ServiceUnavailable", 5),
                               ("InvalidParameterValue.Name", 2), ("InternalError", 6)):
            Gateway.answers["EnableWorkflow"] = error(api_code, "the reason")
            got, out, err = self.call("workflow", "enable", "3")
            self.assertEqual((got, out), (code, ""), api_code)
            self.assertEqual(err, f"framemill: the reason ({api_code})\n")

    def test_a_workflow_is_created_from_flags_and_from_a_file(self):
        Gateway.answers["CreateWorkflow"] = {"WorkflowId": 5}
        code, out, _ = self.call("workflow", "create", "--name", "w", "--bucket", "media",
                                 "--transcode", "100020,100030")
        self.assertEqual(code, 0)
        self.assertIn("workflow 5 created", out)
        body = Gateway.asked[-1][1]
        self.assertEqual([t["Definition"] for t in body["MediaProcessTask"]["TranscodeTaskSet"]],
                         [100020, 100030])
        code, _, _ = self.call("workflow", "create", "--file", "-", stdin='{"WorkflowName":"x"}')
        self.assertEqual((code, Gateway.asked[-1][1]), (0, {"WorkflowName": "x"}))
        self.assertEqual(self.call("workflow", "create", "--file", "-", stdin="{")[0], 2)

    def test_an_event_that_is_no_json_is_named(self):
        for text, why in (("", "standard input is empty: JSON is expected"),
                          ("{", "standard input: this is not JSON")):
            code, _, err = self.call("function", "invoke", "f", stdin=text)
            self.assertEqual(code, 2)
            self.assertIn(why, err)

    def test_a_scheme_is_created_shown_and_modified(self):
        Gateway.answers["CreateSchedule"] = {"ScheduleId": 4}
        code, out, _ = self.call("scheme", "create", "--file", "-",
                                 stdin='{"ScheduleName":"s"}')
        self.assertEqual((code, Gateway.asked[-1][1]), (0, {"ScheduleName": "s"}))
        self.assertIn("scheme 4 created", out)
        graph = [{"ActivityType": "input", "ReardriveIndex": [1], "ActivityPara": None},
                 {"ActivityType": "action-trans", "ReardriveIndex": [2], "ActivityPara":
                  {"TranscodeTask": {"Definition": 100020, "WatermarkSet": []},
                   "ImageSpriteTask": None}},
                 {"ActivityType": "output", "ReardriveIndex": []}]
        scheme = {"ScheduleId": 4, "ScheduleName": "s", "Status": "Disabled",
                  "Activities": graph, "CreateTime": "2026-11-21T10:00:00Z"}
        Gateway.answers["DescribeSchedules"] = {"TotalCount": 1, "ScheduleInfoSet": [scheme]}
        code, out, _ = self.call("scheme", "list")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"4 +s +Disabled +trans")
        code, out, _ = self.call("scheme", "show", "4")
        self.assertEqual(code, 0)
        self.assertIn('  1 action-trans → 2  {"Definition":100020}', out)
        Gateway.answers["ModifySchedule"] = {}
        code, out, _ = self.call("scheme", "modify", "4", "--file", "-", stdin=json.dumps(scheme))
        self.assertEqual((code, out), (0, "scheme 4 modified\n"))
        self.assertNotIn("Status", Gateway.asked[-1][1])
        self.assertEqual(Gateway.asked[-1][1]["Activities"], graph)
        Gateway.answers["DeleteSchedule"] = error("FailedOperation", "scheme is enabled")
        self.assertEqual(self.call("scheme", "delete", "4")[0], 4)

    def test_workflows_are_listed_page_by_page(self):
        every = [{"WorkflowId": n, "WorkflowName": "视频" if n == 7 else f"w{n}",
                  "Status": "Enabled", "CreateTime": "2026-11-21T10:00:00Z"}
                 for n in range(150)]
        Gateway.answers["DescribeWorkflows"] = lambda r: {
            "TotalCount": 150, "WorkflowInfoSet": every[r["Offset"]:r["Offset"] + r["Limit"]]}
        code, out, _ = self.call("workflow", "list", "--quiet")
        self.assertEqual((code, len(out.splitlines())), (0, 150))
        code, out, _ = self.call("--json", "workflow", "list", "--name", "视")
        self.assertEqual([w["WorkflowId"] for w in json.loads(out)["WorkflowInfoSet"]], [7])

    def test_a_list_that_is_not_of_json_shape_is_survived(self):
        Gateway.answers["DescribeRuns"] = {"Runs": [None, 3, {"Id": {}}], "Next": "x"}
        self.assertEqual(self.call("run", "list")[0], 0)

    def test_audit_exits_1_when_the_books_do_not_balance(self):
        report = {"Seen": 2, "Balanced": True, "Missing": [], "IgnoredByReason": {"dotfile": 1}}
        Gateway.answers["AuditBucket"] = lambda _: {"Audit": report}
        self.assertEqual(self.call("audit", "media/in/")[0], 0)
        self.assertEqual(Gateway.asked[-1][1], {"Bucket": "media", "Prefix": "in/"})
        report.update(Balanced=False, Missing=["in/lost.mp4"])
        code, out, _ = self.call("audit", "media")
        self.assertEqual(code, 1)
        self.assertIn("in/lost.mp4", out)

    def test_dead_letters_are_listed_page_by_page_and_the_rest_is_told(self):
        def page(request):
            first = int(request["After"] or 0)
            last = min(first + request["Limit"], 2500)
            return {"DeadLetters": [{"Event": n} for n in range(first, last)],
                    "Next": str(last) if last < 2500 else ""}
        Gateway.answers["DescribeDeadLetters"] = page
        code, out, _ = self.call("event", "dead", "list", "--limit", "2000")
        self.assertEqual((code, len(out.splitlines())), (0, 2002))
        self.assertIn("there are more: --after '2000'", out)
        code, out, _ = self.call("event", "dead", "list", "--after", "2000", "--limit", "2000")
        self.assertEqual((code, len(out.splitlines())), (0, 501))
        self.assertNotIn("there are more", out)
        _, out, _ = self.call("--json", "event", "dead", "list", "--limit", "9999")
        self.assertEqual((len(json.loads(out)["DeadLetters"]), json.loads(out)["Next"]),
                         (2500, ""))
        self.assertEqual([r["Limit"] for _, r in Gateway.asked[-3:]], [1000] * 3)

    def test_topics_are_listed_with_what_goes_wrong(self):
        Gateway.answers["DescribeTopics"] = {"Topics": [
            {"Topic": {"Name": "events"},
             "Subscriptions": [{"Name": "a", "Endpoint": "queue/q"},
                               {"Name": "b", "Endpoint": "http://h/"}],
             "Troubles": [{"Name": "b", "LastError": "HTTP 500", "Missed": 3}]}]}
        _, out, _ = self.call("topic", "list")
        of_a, of_b = out.splitlines()[1:3]
        self.assertIn("queue/q", of_a)
        self.assertNotIn("HTTP 500", of_a)
        self.assertRegex(of_b, r"http://h/.* 3 +HTTP 500")

    def test_grants_are_taken_away(self):
        Gateway.answers["UpdateFunction"] = {"Function": {"Versions": [{"Number": 2}]}}
        self.assertEqual(self.call("function", "update", "keep", "--no-grant")[0], 0)
        self.assertEqual(Gateway.asked[-1][1], {"Name": "keep", "Buckets": []})
        self.assertEqual(self.call("function", "update", "keep", "--no-grant",
                                   "--grant", "media:a/")[0], 2)

    # ---- the cluster ----

    def test_nodes_are_listed_and_shown(self):
        node = {"Name": "one", "Presence": "up", "Mode": "active", "SlotsBusy": 1,
                "Facts": {"Slots": 2, "SelfTest": ""}, "Running": []}
        Gateway.answers["DescribeNodes"] = {"Nodes": [node]}
        Gateway.answers["DescribeNode"] = lambda r: {"Node": node if r else {"Name": "here"}}
        self.assertIn("1/2", self.call("node", "list")[1])
        self.assertIn("passed", self.call("node", "show", "one")[1])
        self.assertEqual(Gateway.asked[-1], ("DescribeNode", {"Name": "one"}))
        self.assertIn("here", self.call("node", "show")[1])
        self.assertEqual(json.loads(self.call("node", "list", "--json")[1])["Nodes"], [node])

    def test_modes_of_a_node_are_set(self):
        Gateway.answers["SetNodeMode"] = {}
        for verb, mode in (("cordon", "cordoned"), ("uncordon", "active"), ("pause", "paused"),
                           ("resume", "active"), ("drain", "draining")):
            code, out, _ = self.call("node", verb, "one", "--reason", "why not")
            self.assertEqual((code, out), (0, f"node one is {mode}\n"))
            self.assertEqual(Gateway.asked[-1][1],
                             {"Name": "one", "Mode": mode, "Reason": "why not"})
        self.call("node", "drain", "one", "--deadline", "10m")
        self.assertEqual(Gateway.asked[-1][1]["DrainSeconds"], 600)
        self.assertEqual(self.call("node", "drain", "one", "--deadline", "soon")[0], 2)

    def test_drain_waits_until_nothing_runs(self):
        Gateway.answers["SetNodeMode"] = {}
        looks = [{"Running": [1, 2]}, {"Running": [1]}, {"Running": [], "Drained": True}]
        Gateway.answers["DescribeNode"] = lambda _: {
            "Node": {"Mode": "draining", "Presence": "up", **looks.pop(0)}}
        code, out, _ = self.call("node", "drain", "one", "--wait")
        self.assertEqual(code, 0)
        self.assertEqual(out.splitlines(), ["node one is draining: 2 running",
                                            "node one is draining: 1 running",
                                            "node one is drained"])
        Gateway.answers["DescribeNode"] = {"Node": {"Mode": "active", "Presence": "up"}}
        self.assertEqual(self.call("node", "drain", "one", "--wait")[0], 4)

    def test_a_join_token_is_a_command_to_copy(self):
        Gateway.answers["CreateJoinToken"] = {
            "Token": "t.s", "Command": "framemilld --role worker --join h:1 --token t.s",
            "Expires": "2026-11-21T10:15:00.000000Z", "Uses": 1}
        code, out, _ = self.call("node", "join-token", "--uses", "3", "--ttl", "1h")
        self.assertEqual(code, 0)
        self.assertEqual(out.splitlines()[0], "framemilld --role worker --join h:1 --token t.s")
        self.assertEqual(Gateway.asked[-1][1], {"Uses": 3, "TtlSeconds": 3600})

    def test_labels_removal_and_self_test(self):
        Gateway.answers.update(LabelNode={}, RemoveNode={}, OrderNode={"Text": "passed"})
        self.assertEqual(self.call("node", "label", "one", "rack=a", "old-")[0], 0)
        self.assertEqual(Gateway.asked[-1][1],
                         {"Name": "one", "Set": {"rack": "a"}, "Remove": ["old"]})
        self.assertEqual(self.call("node", "label", "one", "rack")[0], 2)
        self.assertEqual(self.call("node", "remove", "one")[:2], (0, "node one is removed\n"))
        self.assertEqual(self.call("node", "self-test", "one")[:2], (0, "passed\n"))

    def test_faults_go_to_the_node_as_orders(self):
        Gateway.answers["OrderNode"] = lambda r: {"Text": r["What"] + "\n\x1b[2Jarmed"}
        Gateway.answers["DescribeCluster"] = {"Cluster": {"Coordinator": "head"}}
        Gateway.answers["DescribeNodes"] = {"Nodes": [{"Name": "one", "Presence": "up"},
                                                      {"Name": "two", "Presence": "away"}]}
        self.assertEqual(self.call("fault", "arm", "one", "shard.leased:2", "--action",
                                   "delay=50")[0], 0)
        self.assertEqual(Gateway.asked[-1][1], {"Name": "one", "What": "fault arm",
                                                "Arguments": ["shard.leased:2", "delay=50"]})
        self.assertEqual(self.call("fault", "arm", "one", "p", "--action", "explode")[0], 2)
        self.call("fault", "disarm", "one", "shard.leased")
        self.assertEqual(Gateway.asked[-1][1]["Arguments"], ["shard.leased"])
        code, out, _ = self.call("fault", "list")
        armed = "\n  fault list\n  \\x1b[2Jarmed\n"
        self.assertEqual((code, out), (0, "head" + armed + "one" + armed))
        Gateway.answers["OrderNode"] = error("FailedOperation", "faults are not allowed here")
        code, out, _ = self.call("fault", "list", "one")
        self.assertEqual(code, 4)
        self.assertIn("faults are not allowed here", out)

    def test_fail_points_are_listed_as_fields_of_every_node(self):
        points = [{"Name": "store.commit", "Kind": "door", "Armed": {"Action": "kill"}}]

        def order(request):
            if request["Name"] == "two":
                return error("FailedOperation", "faults are not allowed here")
            self.assertEqual(request["Arguments"], ["json"])
            return {"Text": json.dumps({"Points": points})}
        Gateway.answers.update(
            OrderNode=order, DescribeCluster={"Cluster": {"Coordinator": "head"}},
            DescribeNodes={"Nodes": [{"Name": "head", "Presence": "up"},
                                     {"Name": "two", "Presence": "up"}]})
        code, out, _ = self.call("fault", "list", "--json")
        head, two = json.loads(out)["Nodes"]
        self.assertEqual(head, {"Node": "head", "Points": points, "Error": None})
        self.assertEqual((code, two["Node"], two["Points"]), (4, "two", []))
        self.assertIn("faults are not allowed here", two["Error"])
        code, out, _ = self.call("fault", "list", "head", "--json")
        self.assertEqual((code, [n["Node"] for n in json.loads(out)["Nodes"]]), (0, ["head"]))

    def scenario(self, faults=(), **more):
        """A file of one, which holds until the test ends."""
        told = {"Workload": {"Bucket": "media", "Workflow": "1", "Objects": ["a.mp4"]},
                "Faults": list(faults), "Quiesce": 5, **more}
        path = Path(self.directory.name) / "scenario.json"
        path.write_text(json.dumps(told))
        return str(path)

    def test_a_scenario_that_cannot_be_meant_is_refused_by_its_field(self):
        for fault, why in (({"Point": "p", "From": -1}, "`Faults.1.From`: -1 seconds"),
                           ({"Piont": "p"}, "`Faults.1.Piont`: the parameter `Piont`")):
            file = self.scenario([{"Point": "store.commit"}, fault])
            code, _, err = self.call("fault", "drill", "--scenario", file)
            self.assertEqual((code, Gateway.asked), (2, []))
            self.assertIn("framemill: " + why, err)

    def drill(self, scenario, order, **answers):
        """Plays it on a cluster where all goes well but what `order` says; answers
        the exit code, the verdicts by name, and the whole."""
        run = run_answer("succeeded")
        run["Jobs"] = [{"Outputs": [{"Object": {"Bucket": "media", "Key": "o"}, "Md5": "m"}]}]
        Gateway.answers.update(
            DescribeWorkflows={"WorkflowInfoSet": [{"WorkflowId": 1, "WorkflowName": "w"}]},
            DescribeCluster={"Cluster": {"Coordinator": "head"}},
            DescribeNodes={"Nodes": [{"Name": "one", "Presence": "up"}]},
            SubmitRun={"RunId": 7}, DescribeRun=run,
            DescribeEvents={"Events": [{"Id": 1, "Type": "run.state", "State": "succeeded"}]},
            AuditBucket={"Audit": {"Missing": [], "Duplicated": []}},
            DescribeSinks={"Sinks": [{"Sink": "http://h", "Pending": 0}]},
            DescribeDeadLetters={"DeadLetters": [], "Next": ""}, OrderNode=order)
        Gateway.answers.update(answers)
        code, out, err = self.call("--json", "fault", "drill", "--scenario", scenario)
        told = json.loads(out) if out else {"Verdicts": []}
        return code, {v["Invariant"]: v["Finding"] for v in told["Verdicts"]}, told, err

    @staticmethod
    def node_of(armed, silent=(), refuse=()):
        """A node's answers to orders; `armed`: what it says of a point that was armed."""
        points = [{"Name": "store.commit", "Kind": "door", "Actions": ["", "kill", "error"]},
                  {"Name": "link.send", "Kind": "frames", "Actions": ["", "kill", "error"]}]

        def order(request):
            if request["What"] in refuse:
                return error("ServiceUnavailable", "node is away")
            if request["What"] == "fault scratch":
                away = error("FailedOperation", "no")
                return away if request["Name"] in silent else {"Text": ""}
            told = points if request["What"] == "fault list" else []
            if request["What"] == "fault disarm" and request["Name"] == "one":
                told = armed
            assert request["Arguments"][0] == "json", request
            return {"Text": json.dumps({"Points": told})}
        return order

    def test_a_drill_tells_faults_that_came_from_those_that_did_not(self):
        file = self.scenario([{"Point": "store.commit", "Action": "error"}])
        for failed, fate, finding in ((1, "came", "holds"), (0, "never came", "not checked")):
            armed = [{"Name": "store.commit", "Passes": 3, "Failed": failed}]
            code, verdicts, told, _ = self.drill(file, self.node_of(armed))
            self.assertEqual(code, 0)
            self.assertEqual(verdicts["every fault was armed"], "holds")
            self.assertEqual(verdicts["every fault came to pass"], finding)
            self.assertEqual([(f["Node"], f["Fate"], f["Passes"]) for f in told["Faults"]],
                             [("one", fate, 3)])
            self.assertEqual(verdicts["events are delivered, or dead letters"], "holds")
            self.assertEqual(verdicts["scratch is empty"], "holds")

    def test_a_drill_of_points_that_there_are_not_is_not_begun(self):
        for fault, field in (({"Point": "nosuch.point"}, "Faults.1.Point"),
                             ({"Point": "store.commit", "Action": "reorder"},
                              "Faults.1.Action")):
            file = self.scenario([{"Point": "store.commit"}, fault])
            code, verdicts, _, err = self.drill(file, self.node_of([]))
            self.assertEqual((code, verdicts), (2, {}))
            self.assertIn(field, err)
            self.assertNotIn("SubmitRun", [action for action, _ in Gateway.asked])

    def test_a_drill_heals_after_its_orders_have_arrived(self):
        file = self.scenario([{"Point": "store.commit", "Action": "error"}])
        node, arrived, healed_first = self.node_of([]), threading.Event(), []

        def order(request):
            if request["What"] == "fault disarm" and not arrived.is_set():
                healed_first.append(request)
            if request["What"] == "fault arm":
                threading.Event().wait(0.5)  # it is long on its way
                arrived.set()
            return node(request)
        self.drill(file, order)
        self.assertEqual(healed_first, [])

    def test_a_drill_whose_order_is_lost_does_not_hold(self):
        file = self.scenario([{"Point": "store.commit", "Action": "error"}])
        code, verdicts, _, _ = self.drill(file, self.node_of([], refuse=("fault arm",)))
        self.assertEqual((code, verdicts["every fault was armed"]), (1, "BROKEN"))

    def test_a_drill_does_not_call_scratch_empty_that_it_has_not_seen(self):
        file = self.scenario([{"Point": "store.commit", "Action": "error"}])
        _, verdicts, _, _ = self.drill(file, self.node_of([], silent=("one",)))
        self.assertEqual(verdicts["scratch is empty"], "not checked")

    def test_a_drill_waits_for_deliveries_as_long_as_it_says(self):
        file = self.scenario(Quiesce=1)
        answers = iter([{"Sinks": []}])  # before; then it stays pending
        looks = {"Sinks": [{"Sink": "http://h", "Pending": 1, "LastError": "HTTP 500"}]}
        code, verdicts, _, _ = self.drill(file, self.node_of([]),
                                          DescribeSinks=lambda _: next(answers, looks))
        self.assertEqual((code, verdicts["events are delivered, or dead letters"]),
                         (1, "BROKEN"))

    def test_a_seed_has_no_sign(self):
        for seed in ("-1", "+1", "1.5", "", "18446744073709551616"):
            code, _, err = self.call("fault", "drill", "--scenario", self.scenario(),
                                     "--seed", seed)
            self.assertEqual((code, Gateway.asked), (2, []), seed)
            self.assertIn("--seed", err)

    def answer_top(self):
        counted = iter(range(0, 100_000, 240))
        Gateway.answers.update(
            DescribeCluster={"Cluster": {"NodesUp": 4, "ShardsReady": 12}},
            DescribeNodes={"Nodes": [{"Name": "one", "Presence": "up"}]},
            DescribeMetrics=lambda _: {"Metrics": [
                {"Name": "framemill_frames_encoded_total", "Value": next(counted)}]})

    def test_top_once_shows_rates(self):
        self.answer_top()
        code, out, _ = self.call("top", "--once", "--interval", "100ms")
        self.assertEqual(code, 0)
        self.assertIn("queue 12", out)
        self.assertRegex(out, r"[1-9][0-9.]* frames/s")
        code, out, _ = self.call("top", "--once", "--interval", "100ms", "--json")
        self.assertGreater(json.loads(out)["Throughput"]["FramesPerSecond"], 0)
        self.assertEqual(self.call("top", "--interval", "1ms")[0], 2)

    def test_top_writes_plain_lines_into_a_pipe_until_ctrl_c(self):
        self.answer_top()
        process = subprocess.Popen(self.command("top", "--interval", "100ms"),
                                   stdout=subprocess.PIPE, text=True, env=self.environment)
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        for line in lines:
            self.assertTrue(line.startswith("nodes 4 up"), line)
            self.assertNotIn("\x1b", line)

    def test_a_run_is_explained_released_and_proven(self):
        Gateway.answers.update(
            ExplainRun={"Explanation": {"Run": 7, "State": "processing", "Why": "no slot"}},
            ReleaseRun={"RunId": 8, "TaskId": "t"},
            DescribeCertificate=lambda r: {"Certificate": {"Job": 100 + r["Job"]}})
        self.assertIn("run 7 is processing: no slot", self.call("run", "explain", "7")[1])
        self.assertIn("run 8", self.call("run", "release", "7")[1])
        self.assertIn("102", self.call("run", "certificate", "7", "--job", "2")[1])

    def test_backup_names_an_absolute_directory(self):
        Gateway.answers["BackupState"] = {}
        self.assertEqual(self.call("backup", "copy")[0], 0)
        self.assertEqual(Gateway.asked[-1][1], {"Directory": os.path.abspath("copy")})

    def test_what_needs_the_name_of_a_directory_says_so(self):
        for verb in "backup", "restore", "inspect":
            code, _, err = self.call(verb, "")
            self.assertEqual((code, Gateway.asked), (2, []))
            self.assertIn("DIR", err)

    def test_restore_of_what_is_no_backup_exits_3(self):
        self.assertEqual(self.call("restore", self.directory.name)[0], 3)

    # ---- watching ----

    def test_watch_follows_a_run_to_its_success(self):
        Gateway.answers["DescribeRun"] = run_answer("succeeded")
        Gateway.stream = [("progress", progress(0.1)), ("progress", progress(0.5, EtaHigh=4)),
                          ("progress", progress(1, "succeeded")), ended("succeeded")]
        code, out, _ = self.call("run", "watch", "7")
        self.assertEqual(code, 0)
        self.assertIn("encoding 50%", out)
        self.assertIn("run 7 succeeded in 3.0 s", out)

    def test_watch_of_a_run_that_ended_long_ago_ends_at_once(self):
        Gateway.answers["DescribeRun"] = run_answer("succeeded")
        Gateway.stream = [ended("succeeded")]
        self.assertEqual(self.call("run", "watch", "7")[0], 0)

    def test_watch_exits_1_when_the_run_fails(self):
        Gateway.answers["DescribeRun"] = run_answer(
            "failed", {"Code": "input_not_media", "Message": "no demuxer takes it", "Field": ""})
        Gateway.stream = [("progress", progress(0.2)), ended("failed")]
        code, out, _ = self.call("run", "watch", "7")
        self.assertEqual(code, 1)
        self.assertIn("input_not_media (input): no demuxer takes it", out)

    def test_watch_of_an_object_waits_for_its_run(self):
        empty = [True, True]
        Gateway.answers["DescribeRuns"] = lambda _: {
            "Next": 0, "Runs": [] if empty and empty.pop() else [{"Id": 9, "Key": "a.mp4.part"},
                                                                 {"Id": 7, "Key": "a.mp4"}]}
        Gateway.answers["DescribeRun"] = run_answer("succeeded")
        Gateway.stream = [ended("succeeded")]
        self.assertEqual(self.call("run", "watch", "media:a.mp4")[0], 0)
        self.assertEqual(Gateway.asked[-1], ("DescribeRun", {"RunId": 7}))
        Gateway.answers["DescribeRuns"] = {"Next": 0, "Runs": []}
        self.assertEqual(self.call("run", "watch", "media:no.mp4", "--wait", "0")[0], 3)

    def test_watch_goes_on_when_the_server_comes_back(self):
        Gateway.answers["DescribeRun"] = run_answer("succeeded")
        # Progress that says "succeeded" is not the end: the durable event is.
        Gateway.stream = [("event", {"Id": 41, "Run": 7, "Type": "shard.done"}),
                          ("progress", progress(1, "succeeded"))]
        process = subprocess.Popen(self.command("run", "watch", "7"), stdout=subprocess.PIPE,
                                   text=True, env=self.environment)
        while not any("after=41" in str(request) for _, request in list(Gateway.asked)):
            self.assertIsNone(process.poll())
        Gateway.stream = [ended("succeeded")]
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertIn("trying again", out)

    def test_ctrl_c_leaves_the_terminal_as_it_was(self):
        Gateway.answers["DescribeRun"] = run_answer("processing")
        terminal, other_end = pty.openpty()
        process = subprocess.Popen(self.command("run", "watch", "7"), stdout=other_end,
                                   stderr=subprocess.PIPE, env=self.environment)
        os.close(other_end)
        while not any(kind == "GET" for kind, _ in list(Gateway.asked)):
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        shown = b""
        while select.select([terminal], [], [], 0)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        os.close(terminal)
        self.assertEqual(process.returncode, 130, err)
        self.assertNotIn(b"\x1b[?", shown)  # no mode was set that would have to be reset


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
