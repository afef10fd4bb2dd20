// SPDX-License-Identifier: Apache-2.0
// docs/operators.md has something to say of every operator.
#include <boost/test/unit_test.hpp>

#include "core/ir/operators.hpp"

namespace operators_test {

BOOST_AUTO_TEST_CASE(every_row_says_what_it_takes) {
  for (const onnxport::ir::Operator& op : onnxport::ir::operators())
    BOOST_TEST(!op.documentation.inputs.empty(), op.domain << "." << op.name << " has no line in docs/operators.md");
}

}  // namespace operators_test
