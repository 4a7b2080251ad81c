// One page of images as rows of the repository's table.
import type { ImageSummary } from '../api/client';

export interface ImageRow {
  /** Unique in the table: an image with two tags stands in two rows. */
  key: string;
  image: ImageSummary;
  tags: readonly string[];
  /** 1 for a platform of the index above it. */
  depth: 0 | 1;
}

/** A row per tag; images without one stay visible, since they can be pulled. */
export function rowsByTag(images: readonly ImageSummary[]): ImageRow[] {
  return images.flatMap((image) => {
    const tags = image.tags.length > 0 ? image.tags : [undefined];
    return tags.flatMap((tag, position) => [
      { key: `${image.digest}@${tag ?? ''}`, image, tags: tag === undefined ? [] : [tag], depth: 0 as const },
      // Platforms once, under the last of the index's tags.
      ...(position === tags.length - 1 ? platforms(image) : []),
    ]);
  });
}

/** A row per digest. */
export function rowsByDigest(images: readonly ImageSummary[]): ImageRow[] {
  return images.flatMap((image) => [
    { key: image.digest, image, tags: image.tags, depth: 0 as const },
    ...platforms(image),
  ]);
}

function platforms(index: ImageSummary): ImageRow[] {
  return index.children.map((image) => ({ key: `${index.digest}/${image.digest}`, image, tags: [], depth: 1 }));
}
