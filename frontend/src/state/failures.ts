// Why a request failed, in words.

import { HttpError } from "../api";

export function explain(error: unknown): string {
  if (error instanceof HttpError) return error.message;
  if (error instanceof TypeError) return "TensorBoard does not answer.";
  return error instanceof Error ? error.message : String(error);
}
