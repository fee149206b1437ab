import { z } from "zod";

/**
 * zod would write source code for each schema at its first use and compile that. A start uses each once, so the
 * compiling would be most of its work; and no code is made from text anywhere in the process. Import this before
 * any schema is made.
 */
z.config({ jitless: true });
