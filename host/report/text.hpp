// SPDX-License-Identifier: Apache-2.0
// Results as lines of the report, and what the user should know of them as notes.
#pragma once

#include "host/export/model_card.hpp"
#include "host/export/write_export.hpp"
#include "host/model/model_source.hpp"
#include "host/process/console.hpp"
#include "host/report/chosen_model.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/validate_export.hpp"
#include "registry/trust.hpp"

namespace onnxport {

void print_text(const ChosenModel& chosen, Console& console);
void print_text(const std::vector<TrustDecision>& decisions, Console& console);
void print_text(const FetchedCheckpoint& fetched, Console& console);
void print_text(const WriteForecast& forecast, Console& console);
void print_text(const WrittenExport& written, Console& console);
void print_text(const ExportValidation& found, Console& console);
void print_text(const ValidationRun& run, Console& console);
void print_text(const ModelCard& card, Console& console);
void print_text(const KeptInRange& kept, Console& console);

}  // namespace onnxport
