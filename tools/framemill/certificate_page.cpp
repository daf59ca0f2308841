#include "tools/framemill/certificate_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

namespace framemill::cli {

namespace {

std::string object_text(const json& object) {
  return text_at(object, "Bucket") + ":" + text_at(object, "Key");
}

std::string facts_text(const json& c) {
  return render_facts({{"run", text_at(c, "Run")},
                       {"job", text_at(c, "Job")},
                       {"source", printable(object_text(at(c, "Source")))},
                       {"encoder build", printable(text_at(c, "Fingerprint"))},
                       {"plan revision", text_at(c, "PlanRevision")},
                       {"finished", format_time(text_at(c, "Finished"))},
                       {"all checks passed", text_at(c, "Passed") == "true" ? "yes" : "NO"}});
}

/// Frames of the output that the shard was asked for under the file's name.
std::string window_text(const json& shard, const std::string& file) {
  for (const auto& w : list_at(shard, "Windows"))
    if (text_at(w, "File") == file)
      return text_at(w, "First") + "–"
             + (at(w, "Last").is_null() ? "" : std::to_string(integer_at(w, "Last") - 1));
  return {};
}

/// A row for each file; a shard whose files stayed within one attempt has one, too.
table shards_table(const json& c) {
  table t{{{"SHARD", align::right},
           {"ROLE"},
           {"NODE"},
           {"EPOCH", align::right},
           {"TRIES", align::right},
           {"BUILD"},
           {"FILE"},
           {"WINDOW"},
           {"FRAMES", align::right},
           {"SIZE", align::right},
           {"SHA256"}}};
  const json nothing = json::object();
  for (const auto& s : list_at(c, "Shards")) {
    auto build = text_at(s, "Fingerprint");
    auto row = [&](const json& f) {
      t.row({text_at(s, "Shard"), text_at(s, "Role"), text_at(s, "Node"), text_at(s, "Epoch"),
             text_at(s, "Attempts"), build == text_at(c, "Fingerprint") ? "the run's" : build,
             text_at(f, "Name"), window_text(s, text_at(f, "Name")), text_at(f, "Frames"),
             text_at(f, "Size"), text_at(f, "Sha256")});
    };
    for (const auto& f : list_at(s, "Files"))
      row(f);
    if (list_at(s, "Files").empty())
      row(nothing);
  }
  return t;
}

table outputs_table(const json& c) {
  table t{{{"OUTPUT"},
           {"ROLE"},
           {"FRAMES", align::right},
           {"SIZE", align::right},
           {"MD5"},
           {"SHA256"}}};
  for (const auto& o : list_at(c, "Outputs"))
    t.row({object_text(at(o, "Object")), text_at(o, "Role"), text_at(o, "Frames"),
           text_at(o, "Size"), text_at(o, "Md5"), text_at(o, "Sha256")});
  return t;
}

table seams_table(const json& c) {
  table t{{{"SEAM IN"},
           {"AT FRAME", align::right},
           {"COMPARED", align::right},
           {"SOURCE PTS", align::right},
           {"PSNR", align::right},
           {"OF A NEIGHBOUR", align::right},
           {"NEAREST"}}};
  for (const auto& s : list_at(c, "Seams"))
    t.row({text_at(s, "File"), text_at(s, "Seam"), text_at(s, "Frame"), text_at(s, "SourcePts"),
           fmt::format("{:.2f} dB", number_at(s, "Psnr")),
           fmt::format("{:.2f} dB", number_at(s, "OtherPsnr")),
           text_at(s, "Nearest") == "true" ? "yes" : "NO"});
  return t;
}

table checks_table(const json& c) {
  table t{{{"PASSED"}, {"CHECK"}, {"FOUND"}}};
  for (const auto& k : list_at(c, "Checks"))
    t.row({text_at(k, "Passed") == "true" ? "yes" : "NO", text_at(k, "What"),
           text_at(k, "Found")});
  return t;
}

} // namespace

std::string certificate_page(const json& certificate) {
  auto out = facts_text(certificate);
  for (const auto& t : {shards_table(certificate), outputs_table(certificate),
                        seams_table(certificate), checks_table(certificate)})
    if (!t.empty())
      out += "\n" + t.render();
  return out;
}

} // namespace framemill::cli
