#pragma once

#include "storage/state_store.hpp"

namespace framemill {

/// Brings a store of schema version `from` to `schema_version`, step by step. Each
/// step may be cut off anywhere and begun again; the version is written last.
[[nodiscard]] result<void> migrate(state_store& store, std::uint32_t from);

} // namespace framemill
