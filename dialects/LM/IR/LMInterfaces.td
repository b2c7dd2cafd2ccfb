//===- LMInterfaces.td - Ops with a value form and a buffer form ----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef LM_INTERFACES_TD
#define LM_INTERFACES_TD

include "mlir/IR/OpBase.td"

def LM_TwoForms : OpInterface<"TwoFormsOpInterface"> {
  let cppNamespace = "::mlir::lm";
  let description = [{
    An op that takes tensors and returns tensors (value form) or takes memrefs
    and writes those in `outs` (buffer form). Ops of both dialects share it, so
    phase `buffers` needs no knowledge of any single op.
  }];
  let methods = [
    InterfaceMethod<"The buffers that the buffer form writes, in the order of "
                    "the value form's results.",
      "::mlir::MutableOperandRange", "getOutsRange", (ins), [{
        return $_op.getOutsMutable();
      }]>,
    InterfaceMethod<"Number of rows of a result, given the op's operands as "
                    "tensors or buffers. By default the rows of "
                    "`getRowsOperand`, times `getRowsPerToken`.",
      "::mlir::Value", "buildResultRows",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands,
           "unsigned":$result), "", [{
        return ::mlir::lm::buildRowsOf(builder, $_op->getLoc(),
                                       operands[$_op.getRowsOperand(result)],
                                       $_op.getRowsPerToken(result));
      }]>,
    InterfaceMethod<"The operand whose rows a result's rows are counted from.",
      "unsigned", "getRowsOperand", (ins "unsigned":$result), "", [{
        return 0;
      }]>,
    InterfaceMethod<"Rows of a result for each row of that operand: 1, "
                    "or k for what is made once a token and slot.",
      "int64_t", "getRowsPerToken", (ins "unsigned":$result), "", [{
        return 1;
      }]>,
    InterfaceMethod<"Operands of the buffer form that the op writes besides "
                    "`outs`.",
      "bool", "writesOperand", (ins "unsigned":$operand), "", [{
        return false;
      }]>
  ];
  let verify = [{ return ::mlir::lm::verifyForms($_op); }];
}

#endif // LM_INTERFACES_TD
