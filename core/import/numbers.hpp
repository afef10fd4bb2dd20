// SPDX-License-Identifier: Apache-2.0
// Arithmetic of a script's own numbers: done here where they are known, and symbolic where they are sizes.
#pragma once

#include <optional>
#include <string_view>

#include "core/import/call.hpp"

namespace onnxport::script {

/// "add", "sub", "mul", "floordiv", "remainder" of whole numbers.
Integer add(const Call& call, const Integer& a, const Integer& b);
Integer subtract(const Call& call, const Integer& a, const Integer& b);
Integer multiply(const Call& call, const Integer& a, const Integer& b);
Integer floor_divide(const Call& call, const Integer& a, const Integer& b);
Integer remainder(const Call& call, const Integer& a, const Integer& b);
/// The smaller, or the larger, of two; where the sizes do not tell, at run time.
Integer smaller(const Call& call, const Integer& a, const Integer& b);
Integer larger(const Call& call, const Integer& a, const Integer& b);

/// 0, 1, … as i64[length].
ValueId counted(const Call& call, const Integer& length);

/// An operator of two numbers, none of them a tensor: "add", "sub", "mul", "div", "floordiv", "remainder", "pow".
Item arithmetic(const Call& call, std::string_view how, const Item& a, const Item& b);

/// A tensor of no axes whose number is known, beside a number: as one. Others as they are.
Item as_number_beside(const Call& call, const Item& item, const Item& other);

/// How two numbers compare, where that holds for all sizes from 1 on: below 0, 0 or above; nullopt where it does not.
std::optional<int> compare(const Call& call, const Item& a, const Item& b);

}  // namespace onnxport::script
