import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { GreeterModule } from './greeter.module.js';
import { greeterOptions } from './greeter.options.js';

async function bootstrap() {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(
    GreeterModule,
    greeterOptions,
  );
  app.enableShutdownHooks();
  await app.listen();
}
await bootstrap();
