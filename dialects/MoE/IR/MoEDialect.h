//===- MoEDialect.h - The moe dialect ---------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_MOE_IR_MOEDIALECT_H
#define MOE_DIALECTS_MOE_IR_MOEDIALECT_H

#include "dialects/LM/IR/LMDialect.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"

#include "dialects/MoE/IR/MoEDialect.h.inc"
#include "dialects/MoE/IR/MoEEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MoE/IR/MoETypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/MoE/IR/MoEOps.h.inc"

#endif // MOE_DIALECTS_MOE_IR_MOEDIALECT_H
