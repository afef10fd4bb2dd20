// SPDX-License-Identifier: Apache-2.0
#include "hub/transport.hpp"

#include "core/on_demand.hpp"

namespace onnxport::hub {

std::unique_ptr<Transport> make_transport() {
  const std::string advice = "or download the model by other means and pass its folder with -m";
  OnDemandLibrary wanted;
  wanted.name = "curl";
  wanted.what = "the downloader";
  wanted.stamp_symbol = transport_stamp_symbol;
  wanted.stamp = ONNXPORT_TRANSPORT_STAMP;
  wanted.absent_hint = "install all of onnxport, " + advice;
  wanted.broken_hint = "install libcurl (libcurl4), " + advice;
  return std::unique_ptr<Transport>(open_on_demand(wanted).get<Transport*()>(transport_symbol)());
}

}  // namespace onnxport::hub
