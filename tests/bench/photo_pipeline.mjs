// Makes the eight renditions with sharp, once for each line on standard input (`each` or `chained`), and prints the
// wall-clock and CPU milliseconds as JSON.
//
// node photo_pipeline.mjs PHOTO
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import sharp from 'sharp';

const photo = readFileSync(process.argv[2]);
const sides = [1080, 640, 320, 150];
sharp.cache(false); // otherwise sharp keeps the decoded picture

const encoded = (pipeline) => [
    pipeline.clone().jpeg({ quality: 82, chromaSubsampling: '4:2:0', optimizeCoding: false }).toBuffer(),
    pipeline.clone().webp({ quality: 78, effort: 0 }).toBuffer(),
];
const inside = (side) => ({ width: side, height: side, fit: 'inside', withoutEnlargement: true });

const ways = {
    // Each size from the upload: the usual way.
    each: () => Promise.all(sides.flatMap((side) => encoded(sharp(photo).rotate().resize(inside(side))))),
    // Each size from the larger one: the fastest way.
    chained: async () => {
        const files = [];
        let source = sharp(photo).rotate();
        for (const side of sides) {
            const { data, info } = await source.resize(inside(side)).raw().toBuffer({ resolveWithObject: true });
            const raw = { width: info.width, height: info.height, channels: info.channels };
            files.push(...encoded(sharp(data, { raw })));
            source = sharp(data, { raw });
        }
        return Promise.all(files);
    },
};

for await (const way of createInterface({ input: process.stdin })) {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const files = await ways[way]();
    const wall = performance.now() - started;
    const used = process.cpuUsage(cpu);
    const bytes = files.reduce((sum, file) => sum + file.length, 0);
    console.log(JSON.stringify({ wall, cpu: (used.user + used.system) / 1000, files: files.length, bytes }));
}
