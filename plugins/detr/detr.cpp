// SPDX-License-Identifier: Apache-2.0
// DETR, and the Table Transformer, whose norms stand before what they are for.
// Source: DetrModel, DetrForObjectDetection and DetrForSegmentation, transformers 4.30 (modeling_detr.py);
// TableTransformerModel and TableTransformerForObjectDetection, transformers 4.57 (modeling_table_transformer.py).
#include <onnxport/families/detr_masks.hpp>

using namespace onnxport::family;

namespace {

class Detr final : public DetrWithMasks {
 public:
  explicit Detr(const Request& request) : DetrWithMasks(request, {.queries = 100}) {}
};

class TableTransformer final : public DetrOnnxConfig {
 public:
  explicit TableTransformer(const Request& request)
      : DetrOnnxConfig(request, {.queries = 100, .placement = Placement::before}) {}
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.detr",
    .name = "DETR",
    .models = {{.types = {"detr"},
                .features = {"default", "object-detection", "image-segmentation"},
                .architectures = {{"DetrForSegmentation", "image-segmentation"}},
                .make = make<Detr>},
               {.types = {"table-transformer"},
                .features = {"default", "object-detection"},
                .make = make<TableTransformer>}},
})
