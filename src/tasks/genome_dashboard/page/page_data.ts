/** What data.js holds, for each kind of page. */

export type Gene = readonly (string | number | null)[];

export interface AppConfig {
  readonly upa: string | null;
  readonly navigation: {
    readonly index_url: string;
    readonly tables_url: string;
    readonly organism: string;
    readonly pangenome_id: string;
    readonly is_multi_pangenome: boolean;
    readonly current_index: number;
    readonly siblings: readonly {
      readonly organism: string;
      readonly pangenome_id: string;
      readonly n_genes: number;
      readonly url: string;
    }[];
  };
}

export interface Tree {
  readonly genome_ids: readonly string[];
  readonly user_genome_id: string;
  readonly linkage?: readonly (readonly [number, number, number, number])[];
  readonly leaf_order?: readonly string[];
  readonly genome_metadata?: Readonly<Record<string, { readonly ani_to_user: number | null }>>;
  readonly genome_stats?: Readonly<Record<string, { readonly n_genes: number; readonly n_clusters: number }>>;
}

export interface DashboardData {
  readonly page: "dashboard";
  readonly config: AppConfig;
  readonly metadata: {
    readonly organism: string;
    readonly genome_id: string;
    readonly pangenome_id: string;
    readonly taxonomy: string;
    readonly n_genes: number;
    readonly n_contigs: number;
    readonly n_ref_genomes: number;
  };
  readonly genes: readonly Gene[];
  readonly tree: Tree;
  readonly summary: {
    readonly gene_categories: {
      readonly core_genes: number;
      readonly accessory_genes: number;
      readonly unknown_genes: number;
    };
    readonly comparison: { readonly closest_ani: number | null };
    readonly reactions: { readonly total_reactions: number; readonly gapfilled_reactions: number } | null;
    readonly growth_phenotypes: { readonly positive_growth: number; readonly negative_growth: number } | null;
  };
  readonly reactions: { readonly stats: { readonly essential_rich?: number } };
}

export interface IndexData {
  readonly page: "index";
  readonly dashboards: readonly {
    readonly organism: string;
    readonly pangenomeId: string;
    readonly genes: number;
    readonly references: number;
    readonly url: string;
  }[];
  readonly skipped: readonly string[];
}

export interface TablesData {
  readonly page: "tables";
  readonly upa: string | null;
  readonly dashboards: readonly {
    readonly organism: string;
    readonly pangenomeId: string;
    readonly files: readonly { readonly name: string; readonly url: string; readonly bytes: number }[];
  }[];
}

export type PageData = DashboardData | IndexData | TablesData;
