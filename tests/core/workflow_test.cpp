#include "core/json.hpp"
#include "core/workflow.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace framemill;

namespace {

/// The presets, and two watermarks: 1 is an image, 2 a text.
class presets_and_marks final : public template_source {
public:
  presets_and_marks() {
    image_.watermark.emplace();
    text_.watermark.emplace().type = watermark_type::text;
    text_.watermark->text.emplace();
  }
  const template_record* find(template_family f, std::uint64_t definition) const override {
    if (f != template_family::watermark)
      return find_preset(f, definition);
    return definition == 1 ? &image_ : definition == 2 ? &text_ : nullptr;
  }

private:
  template_record image_, text_;
};

const presets_and_marks templates;

activity transcode(std::uint64_t definition = 100020) {
  activity a;
  a.transcode.emplace().definition = definition;
  return a;
}
activity snapshot(std::vector<std::string> offsets = {"1s", "50%"}) {
  activity a;
  a.kind = activity_kind::snapshot_by_time_offset;
  a.snapshot.emplace().definition = 10;
  a.snapshot->ext_time_offsets = std::move(offsets);
  return a;
}
activity sampled() {
  activity a;
  a.kind = activity_kind::sample_snapshot;
  a.sample_snapshot.emplace().definition = 10;
  return a;
}
activity sprite() {
  activity a;
  a.kind = activity_kind::image_sprite;
  a.image_sprite.emplace().definition = 10;
  return a;
}
activity animation() {
  activity a;
  a.kind = activity_kind::animated_graphic;
  a.animated_graphic.emplace().definition = 20000;
  return a;
}
activity raw(std::string container = "mp4") {
  activity a;
  auto& t = a.transcode.emplace();
  t.raw.emplace().container = std::move(container);
  t.raw->video.emplace().codec = "h264";
  t.raw->audio.emplace().codec = "aac";
  return a;
}

workflow_spec spec_of(std::vector<activity> activities) {
  workflow_spec s;
  s.name = "转码-1_a";
  s.trigger.bucket = "in";
  s.activities = std::move(activities);
  return s;
}

std::string told(const result<void>& r, errc code) {
  if (r)
    return "";
  return r.error().code == code ? r.error().field
                                : fmt::format("{} {}: {}", to_string(r.error().code),
                                              r.error().field, r.error().message);
}

/// The field that is refused after a change of an ordinary workflow.
template <class Change>
std::string refused(Change change, errc code = errc::invalid_argument) {
  auto s = spec_of({transcode()});
  change(s);
  return told(validate(s, templates), code);
}

std::string refused(std::vector<activity> activities, errc code = errc::invalid_argument) {
  return told(validate_activities(activities, templates), code);
}

template <class Change>
activity changed(activity a, Change change) {
  change(a);
  return a;
}

} // namespace

TEST_CASE("workflow: all kinds of activities on one source are valid") {
  auto r = validate(spec_of({transcode(), transcode(100210), transcode(1100), snapshot(),
                             sampled(), sprite(), animation(), raw()}),
                    templates);

  CHECK_MESSAGE(r.has_value(), r.error().field, ": ", r.error().message);
}

TEST_CASE("workflow: a name has its alphabet and length") {
  auto named = [](std::string name) { return refused([&](auto& s) { s.name = name; }); };
  CHECK(named("转码_abc-09") == "");
  CHECK(named(std::string(128, 'a')) == "");
  std::string chinese;
  for (int i = 0; i < 128; ++i)
    chinese += "转";
  CHECK(named(chinese) == "");
  CHECK(named(chinese + "转") == "Name");
  for (auto name : {"", "a b", "a.b", "a/b", "é", "a\n", "\xff", "a!", "🎬"}) {
    CAPTURE(name);
    CHECK(named(name) == "Name");
  }
  CHECK(named(std::string("a\0b", 3)) == "Name");
}

TEST_CASE("workflow: trigger, storage, directory and priority are checked") {
  CHECK(refused([](auto& s) { s.trigger.bucket = ""; }, errc::missing_argument)
        == "Trigger.Bucket");
  CHECK(refused([](auto& s) { s.trigger.dir = "in"; }) == "Trigger.Dir");
  CHECK(refused([](auto& s) { s.trigger.dir = "/../"; }) == "Trigger.Dir");
  CHECK(refused([](auto& s) { s.trigger.dir = "in/"; }) == "");
  CHECK(refused([](auto& s) { s.trigger.formats = {{"mp4", "a b"}}; }) == "Trigger.Formats.1");
  CHECK(refused([](auto& s) { s.trigger.formats = {{"*", ".MOV", "mp4"}}; }) == "");
  CHECK(refused(
            [](auto& s) {
              s.output_storage = output_storage{"AWS-S3", {}};
            },
            errc::unsupported)
        == "OutputStorage.Type");
  CHECK(refused([](auto& s) { s.output_dir = "out"; }) == "OutputDir");
  CHECK(refused([](auto& s) { s.output_dir = "out/"; }) == "");
  CHECK(refused([](auto& s) { s.priority = 11; }) == "Priority");
  CHECK(refused([](auto& s) { s.priority = -11; }) == "Priority");
  CHECK(refused([](auto& s) { s.activities.clear(); }, errc::missing_argument) == "Activities");
  CHECK(refused([](auto& s) { s.activities.resize(65, transcode()); }, errc::too_large)
        == "Activities");
}

TEST_CASE("workflow: what its runs ask of nodes is checked") {
  CHECK(refused([](auto& s) {
          s.scheduling = {{{"zone", "a"}, {"gpu", ""}}, {{"disk", "ssd"}}, "gpu0", 0.5};
        })
        == "");
  auto required = [](std::string key, std::string value) {
    return refused([&](auto& s) { s.scheduling.required_labels[key] = value; });
  };
  CHECK(required("a b", "x") == "Scheduling.RequiredLabels");
  CHECK(required("", "x") == "Scheduling.RequiredLabels");
  CHECK(required("a", std::string(256, 'x')) == "Scheduling.RequiredLabels");
  CHECK(refused([](auto& s) {
          for (int i = 0; i < 65; ++i)
            s.scheduling.preferred_labels[std::to_string(i)] = "x";
        })
        == "Scheduling.PreferredLabels");
  CHECK(refused([](auto& s) {
          s.scheduling.required_labels["zone"] = "a";
          s.scheduling.preferred_labels["zone"] = "b";
        })
        == "Scheduling.PreferredLabels");
  CHECK(refused([](auto& s) { s.scheduling.device = "gpu 0"; }) == "Scheduling.Device");
  for (auto weight : {0.0, -1.0, 0.009, 100.1, std::nan("")})
    CHECK(refused([&](auto& s) { s.scheduling.weight = weight; }) == "Scheduling.Weight");
  for (auto weight : {0.01, 100.0})
    CHECK(refused([&](auto& s) { s.scheduling.weight = weight; }) == "");
}

TEST_CASE("workflow: a call needs neither name nor trigger") {
  workflow_spec call;
  call.activities = {transcode()};
  CHECK(told(validate_call(call, templates), errc::invalid_argument) == "");
  call.output_dir = "../";
  CHECK(told(validate_call(call, templates), errc::invalid_argument) == "OutputDir");
}

TEST_CASE("workflow: what is wrong with its notification is named by its place") {
  auto wrong = [](notify_config n) {
    return refused([&](auto& s) { s.notify = n; }, errc::invalid_argument);
  };
  CHECK(wrong({"URL", "Finish", "http://host/x"}) == "");
  CHECK(wrong({"URL", "Finish", "ftp://host/"}) == "TaskNotifyConfig.NotifyUrl");
}

TEST_CASE("activities: an unknown Definition is not found, by name") {
  auto f = errc::not_found;
  CHECK(refused({transcode(), transcode(77)}, f) == "Activities.1.TranscodeTask.Definition");
  CHECK(refused({changed(sprite(), [](auto& a) { a.image_sprite->definition = 11; })}, f)
        == "Activities.0.ImageSpriteTask.Definition");
  CHECK(refused({changed(animation(), [](auto& a) { a.animated_graphic->definition = 10; })}, f)
        == "Activities.0.AnimatedGraphicTask.Definition");
}

TEST_CASE("activities: exactly the member of the kind") {
  CHECK(refused({activity{}}) == "Activities.0.Kind");
  CHECK(refused({changed(transcode(), [](auto& a) { a.snapshot.emplace(); })})
        == "Activities.0.Kind");
}

TEST_CASE("activities: raw parameters are checked in full") {
  CHECK(refused({raw()}) == "");
  CHECK(refused({transcode(0)}) == "Activities.0.TranscodeTask.RawParameter");
  CHECK(refused({changed(raw(), [](auto& a) { a.transcode->raw->video->fps = 500; })})
        == "Activities.0.TranscodeTask.RawParameter.VideoTemplate.Fps");
  CHECK(refused({raw("mkv")}, errc::unsupported)
        == "Activities.0.TranscodeTask.RawParameter.Container");
  CHECK(refused({changed(raw(), [](auto& a) { a.transcode->definition = 100020; })})
        == "Activities.0.TranscodeTask.RawParameter");
}

TEST_CASE("activities: an override is checked together with its template") {
  auto with = [](auto change) {
    return changed(transcode(),
                   [&](auto& a) { change(a.transcode->override_parameter.emplace()); });
  };
  CHECK(refused({with([](auto& o) { o.video.emplace().height = 480; })}) == "");
  CHECK(refused({with([](auto& o) { o.video.emplace().height = 1; })})
        == "Activities.0.TranscodeTask.OverrideParameter.VideoTemplate.Height");
  CHECK(refused({with([](auto& o) { o.container = "mp3"; })}, errc::unsupported)
        == "Activities.0.TranscodeTask.OverrideParameter.AudioTemplate.Codec");
}

TEST_CASE("activities: clips end after they begin") {
  auto clip = [](double start, double end) {
    return refused({changed(transcode(), [&](auto& a) {
      a.transcode->start_offset = start;
      a.transcode->end_offset = end;
    })});
  };
  CHECK(clip(0, 0) == "");
  CHECK(clip(5, 0) == "");
  CHECK(clip(5, -5) == "");
  CHECK(clip(-10, -5) == "");
  CHECK(clip(5, 5) == "Activities.0.TranscodeTask.EndTimeOffset");
  CHECK(clip(-5, -10) == "Activities.0.TranscodeTask.EndTimeOffset");
  CHECK(clip(1e300, 0) == "Activities.0.TranscodeTask.StartTimeOffset");
}

TEST_CASE("activities: an animated graphic is the whole source only when both are 0") {
  auto clip = [](double start, double end) {
    return refused({changed(animation(), [&](auto& a) {
      a.animated_graphic->start_offset = start;
      a.animated_graphic->end_offset = end;
    })});
  };
  CHECK(clip(0, 0) == "");
  CHECK(clip(1, 3) == "");
  CHECK(clip(3, 0) == "Activities.0.AnimatedGraphicTask.EndTimeOffset");
  CHECK(clip(3, 3) == "Activities.0.AnimatedGraphicTask.EndTimeOffset");
  CHECK(clip(-1, 3) == "Activities.0.AnimatedGraphicTask.StartTimeOffset");
}

TEST_CASE("activities: times of snapshots are seconds or percent") {
  CHECK(refused({snapshot({"0s", "3.5s", "0%", "100%"})}) == "");
  for (auto text : {"", "s", "%", "3.5", "-1s", "101%", "1e3s", "1 s", "nans", "999999999s"}) {
    CAPTURE(text);
    CHECK(refused({snapshot({"1s", text})})
          == "Activities.0.SnapshotByTimeOffsetTask.ExtTimeOffsetSet.1");
  }
  CHECK(refused({snapshot({})}, errc::missing_argument)
        == "Activities.0.SnapshotByTimeOffsetTask.ExtTimeOffsetSet");
  CHECK(refused({changed(snapshot({}),
                         [](auto& a) {
                           a.snapshot->time_offsets = {1, -1};
                         })})
        == "Activities.0.SnapshotByTimeOffsetTask.TimeOffsetSet.1");
}

namespace {

watermark_input mark(std::uint64_t definition) {
  watermark_input w;
  w.definition = definition;
  return w;
}

watermark_input raw_mark() {
  watermark_input w;
  w.raw.emplace().image.emplace().image_content = {"COS", cos_input{"b", "", "/logo.png"}};
  return w;
}

std::string refused_mark(watermark_input w, errc code = errc::invalid_argument) {
  return refused({changed(transcode(), [&](auto& a) { a.transcode->watermarks = {w}; })}, code);
}

} // namespace

TEST_CASE("watermarks: stored ones exist, raw ones are images") {
  auto at = std::string{"Activities.0.TranscodeTask.WatermarkSet.0."};
  CHECK(refused_mark(mark(1)) == "");
  CHECK(refused_mark(raw_mark()) == "");
  CHECK(refused_mark(mark(3), errc::not_found) == at + "Definition");
  CHECK(refused_mark(mark(0)) == at + "RawParameter");
  auto w = raw_mark();
  w.raw->type = watermark_type::text;
  CHECK(refused_mark(w, errc::unsupported) == at + "RawParameter.Type");
  w = raw_mark();
  w.raw->image->image_content.cos->object = "../x";
  CHECK(refused_mark(w) == at + "RawParameter.ImageTemplate.ImageContent.CosInputInfo.Object");
  w = raw_mark();
  w.raw->image->image_content.type = "URL";
  CHECK(refused_mark(w, errc::unsupported)
        == at + "RawParameter.ImageTemplate.ImageContent.Type");
}

TEST_CASE("watermarks: a text has at most 100 characters and a text template") {
  auto at = std::string{"Activities.0.TranscodeTask.WatermarkSet.0.TextContent"};
  auto w = mark(2);
  CHECK(refused_mark(w) == at); // no text anywhere
  w.text_content = "你好";
  CHECK(refused_mark(w) == "");
  w.text_content = std::string(101, 'a');
  CHECK(refused_mark(w) == at);
  w = mark(1);
  w.text_content = "a";
  CHECK(refused_mark(w) == at);
}

TEST_CASE("watermarks: at most ten, on encoded pictures only") {
  auto with = [](activity a, std::size_t n) {
    a.transcode->watermarks.resize(n, mark(1));
    return refused({a});
  };
  CHECK(with(transcode(), 10) == "");
  CHECK(with(transcode(), 11) == "Activities.0.TranscodeTask.WatermarkSet");
  CHECK(with(transcode(875), 1) == "Activities.0.TranscodeTask.WatermarkSet");
  CHECK(with(transcode(1100), 1) == "Activities.0.TranscodeTask.WatermarkSet");

  auto shot = snapshot();
  shot.snapshot->watermarks = {mark(1)};
  CHECK(refused({shot}) == "");
  shot.snapshot->watermarks = {mark(2)};
  CHECK(refused({shot}) == "Activities.0.SnapshotByTimeOffsetTask.WatermarkSet.0.Definition");
}

TEST_CASE("object paths: end in the format, and tell several files apart") {
  auto path = [](activity a, const char* text) {
    if (a.transcode)
      a.transcode->output_object_path = text;
    if (a.snapshot)
      a.snapshot->output_object_path = text;
    if (a.image_sprite)
      a.image_sprite->output_object_path = text;
    return refused({a});
  };
  CHECK(path(transcode(), "/x/{inputName}.{format}") == "");
  CHECK(path(transcode(), "x.mp4") == "Activities.0.TranscodeTask.OutputObjectPath");
  CHECK(path(transcode(), "{no}.{format}") == "Activities.0.TranscodeTask.OutputObjectPath");
  CHECK(path(transcode(), "../x.{format}") == "Activities.0.TranscodeTask.OutputObjectPath");
  CHECK(path(snapshot(), "x.{format}")
        == "Activities.0.SnapshotByTimeOffsetTask.OutputObjectPath");
  CHECK(path(snapshot({"1s"}), "x.{format}") == "");
  CHECK(path(sprite(), "x_{number}.{format}") == "");
  CHECK(path(sprite(), "x.{format}") == "Activities.0.ImageSpriteTask.OutputObjectPath");
}

TEST_CASE("transcode_task: only HLS has segments, and they count from 0") {
  auto named = [](auto& a) { a.transcode->segment_object_name = "x_{number}.{format}"; };
  auto from_five = [](auto& a) { a.transcode->numbers = number_format{5, 1, 1, "0"}; };
  CHECK(refused({changed(transcode(100220), named)}) == "");
  CHECK(refused({changed(transcode(100020), named)})
        == "Activities.0.TranscodeTask.SegmentObjectName");
  CHECK(refused({changed(transcode(100020), from_five)})
        == "Activities.0.TranscodeTask.ObjectNumberFormat");
  CHECK(refused({changed(transcode(100220), from_five)}, errc::unsupported)
        == "Activities.0.TranscodeTask.ObjectNumberFormat");
}

TEST_CASE("transcode_task: a copied stream cannot be cut") {
  auto cut = changed(transcode(875), [](auto& a) { a.transcode->end_offset = 4; });
  CHECK(refused({cut}, errc::unsupported) == "Activities.0.TranscodeTask.EndTimeOffset");
}

TEST_CASE("object paths: segments and VTT files are beside their manifest or images") {
  auto segment = changed(transcode(100220), [](auto& a) {
    a.transcode->segment_object_name = "/x_{number}.{format}";
  });
  CHECK(refused({segment}) == "Activities.0.TranscodeTask.SegmentObjectName");
  auto vtt =
      changed(sprite(), [](auto& a) { a.image_sprite->web_vtt_object_name = "/x.{format}"; });
  CHECK(refused({vtt}) == "Activities.0.ImageSpriteTask.WebVttObjectName");
}

TEST_CASE("numbers: have sane formats") {
  auto with = [](number_format n) {
    return refused({changed(sampled(), [&](auto& a) { a.sample_snapshot->numbers = n; })});
  };
  auto at = std::string{"Activities.0.SampleSnapshotTask.ObjectNumberFormat."};
  CHECK(with({1, 2, 5, "x"}) == "");
  CHECK(with({-1, 1, 1, "0"}) == at + "InitialValue");
  CHECK(with({0, 0, 1, "0"}) == at + "Increment");
  CHECK(with({0, 1, 1000, "0"}) == at + "MinLength");
  for (auto text : {"", "00", "/", "\n"})
    CHECK(with({0, 1, 1, text}) == at + "PlaceHolder");
}

TEST_CASE("graph: edges lead to other activities, once, and never around") {
  auto graph = [](std::vector<std::vector<std::uint32_t>> successors) {
    std::vector<activity> all;
    std::uint64_t definition = 100010;
    for (auto& s : successors) {
      all.push_back(transcode(definition));
      all.back().successors = s;
      definition += 10;
    }
    return all;
  };
  CHECK(refused(graph({{1}})) == "Activities.0.Successors.0");
  CHECK(refused(graph({{0}})) == "Activities.0.Successors.0");
  CHECK(refused(graph({{1, 1}, {}})) == "Activities.0.Successors.1");
  CHECK(refused(graph({{1}, {2}, {0}})) == "Activities");
  CHECK(refused(graph({{}, {2}, {}}), errc::unsupported) == "Activities.1.Successors");
}

TEST_CASE("clashes: two activities must not write one object") {
  CHECK(refused({transcode(), transcode()}) == "Activities.1.TranscodeTask.OutputObjectPath");
  CHECK(refused({transcode(), transcode(100010)}) == "");
  CHECK(refused({sampled(), sampled()}) == "Activities.1.SampleSnapshotTask.OutputObjectPath");
  CHECK(refused({raw(), raw("hls")}) == "");

  auto at = [](const char* path, const char* bucket = "") {
    return changed(transcode(), [&](auto& a) {
      a.transcode->output_object_path = path;
      a.transcode->output_storage = output_storage{"COS", cos_storage{bucket, ""}};
    });
  };
  CHECK(refused({at("x.{format}"), at("y.{format}")}) == "");
  CHECK(refused({at("x.{format}"), at("x.{format}", "other")}) == "");
}

TEST_CASE("clashes: the same place said in two ways is found") {
  auto s = spec_of({transcode(), transcode()});
  s.output_dir = "out/";
  s.activities[1].transcode->output_object_path =
      "/out/{inputName}_transcode_{definition}.{format}";
  s.activities[1].transcode->output_storage = output_storage{"COS", cos_storage{"in", ""}};

  CHECK(told(validate(s, templates), errc::invalid_argument)
        == "Activities.1.TranscodeTask.OutputObjectPath");
}

TEST_CASE("matches: extension in any case, directory with its sub-directories") {
  trigger t;
  t.dir = "/in/";
  CHECK(matches(t, "in/a.mp4"));
  CHECK(matches(t, "in/sub/A.MOV"));
  CHECK(!matches(t, "other/a.mp4"));
  CHECK(!matches(t, "index/a.mp4"));
  CHECK(!matches(t, "in/a.exe"));
  CHECK(!matches(t, "in/mp4"));
  t.dir = "in/";
  CHECK(matches(t, "in/a.srt"));
  t.dir = "/";
  CHECK(matches(t, "a.m4v"));
  t.dir = "";
  CHECK(matches(t, "x/a.m4v"));
}

TEST_CASE("matches: its own formats, with or without a dot, or any") {
  trigger t;
  t.formats = {{".XYZ", "abc"}};
  CHECK(matches(t, "a.xyz"));
  CHECK(matches(t, "a.ABC"));
  CHECK(!matches(t, "a.mp4"));
  t.formats = {{"*"}};
  CHECK(matches(t, "a"));
  CHECK(matches(t, "a.anything"));
  t.formats = std::vector<std::string>{};
  CHECK(matches(t, "a.mp4"));
  CHECK(!matches(t, "a.xyz"));
}

TEST_CASE("resolve: raw, or the template with its override") {
  CHECK(resolve(*raw().transcode, templates).value() == *raw().transcode->raw);
  auto t = *transcode().transcode;
  CHECK(resolve(t, templates)->video->height == 540);
  t.override_parameter.emplace().video.emplace().height = 480;
  CHECK(resolve(t, templates)->video->height == 480);
  CHECK(resolve(t, templates)->video->codec == "h264");
  t.definition = 77;
  CHECK(resolve(t, templates).error().code == errc::not_found);
}

TEST_CASE("activity: what kinds have in common is found in each") {
  for (const auto& a : {transcode(), snapshot(), sampled(), sprite(), animation()}) {
    CHECK(definition_of(a) != 0);
    CHECK(!output_storage_of(a).has_value());
    CHECK(output_object_path_of(a).empty());
    CHECK(numbers_of(a) == number_format{});
    CHECK(watermarks_of(a).empty());
    CHECK(templates.find(family_of(a.kind), definition_of(a)) != nullptr);
  }
  CHECK(definition_of(activity{}) == 0);
}
