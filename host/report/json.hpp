// SPDX-License-Identifier: Apache-2.0
// Results as fields of the object that --json prints.
#pragma once

#include "host/export/model_card.hpp"
#include "host/export/write_export.hpp"
#include "host/model/model_source.hpp"
#include "host/report/chosen_model.hpp"
#include "host/report/judge_files.hpp"
#include "host/validation/range_check.hpp"
#include "host/validation/validate_export.hpp"
#include "registry/trust.hpp"

namespace onnxport {

void fill_json(const ChosenModel& chosen, Json& json);
void fill_json(const JudgeFiles& files, Json& json);
void fill_json(const std::vector<TrustDecision>& decisions, Json& json);
void fill_json(const FetchedCheckpoint& fetched, Json& json);
void fill_json(const WriteForecast& forecast, Json& json);
void fill_json(const WrittenExport& written, Json& json);
void fill_json(const ExportValidation& found, Json& json);
void fill_json(const ModelCard& card, Json& json);
void fill_json(const KeptInRange& kept, Json& json);

}  // namespace onnxport
